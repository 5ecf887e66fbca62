package stripe

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/blockmill/blockmill/blockio"
)

// identityName is the object that says which shard of which stripe a volume is.
// The stripe keeps the name for itself.
const identityName = "meta/shard"

const (
	identityMagic = "bmSTRIP\n"
	identitySize  = 128
)

// memberSet is a set of positions.
type memberSet [maxShards / 8]byte

func (s *memberSet) add(i int)     { s[i/8] |= 1 << (i % 8) }
func (s *memberSet) remove(i int)  { s[i/8] &^= 1 << (i % 8) }
func (s memberSet) has(i int) bool { return s[i/8]&(1<<(i%8)) != 0 }

func (s memberSet) count() int {
	n := 0
	for i := range maxShards {
		if s.has(i) {
			n++
		}
	}
	return n
}

// beyond says whether the set has a position from n on.
func (s memberSet) beyond(n int) bool {
	for i := n; i < maxShards; i++ {
		if s.has(i) {
			return true
		}
	}
	return false
}

// identity is what a shard knows of itself and of the others. FORMAT.md has
// the layout, membership.go the rules.
type identity struct {
	set   SetID
	geo   geometry
	index int
	// rebuilding says that the shard may lack objects that it should hold.
	rebuilding bool
	// epoch numbers the records of the members; floor is the last epoch that
	// all members recorded.
	epoch, floor uint64
	// members are in sync: they hold no object that the others removed.
	members memberSet
}

const flagRebuilding = 1

// The identity's size is what the layout below adds up to.
var _ [identitySize]byte = [8 + 4 + 4 + 16 + 2 + 2 + 2 + 2 + 4 + 4 + 8 + 8 + 32 + 24 + 8]byte{}

func (id identity) encode() []byte {
	p := make([]byte, 0, identitySize)
	p = append(p, identityMagic...)
	p = binary.LittleEndian.AppendUint32(p, formatVersion)
	p = binary.LittleEndian.AppendUint32(p, identitySize)
	p = append(p, id.set[:]...)
	p = binary.LittleEndian.AppendUint16(p, uint16(id.geo.k))
	p = binary.LittleEndian.AppendUint16(p, uint16(id.geo.m))
	p = binary.LittleEndian.AppendUint16(p, uint16(id.index))
	var flags uint16
	if id.rebuilding {
		flags |= flagRebuilding
	}
	p = binary.LittleEndian.AppendUint16(p, flags)
	p = binary.LittleEndian.AppendUint32(p, uint32(id.geo.unit))
	p = append(p, make([]byte, 4)...)
	p = binary.LittleEndian.AppendUint64(p, id.epoch)
	p = binary.LittleEndian.AppendUint64(p, id.floor)
	p = append(p, id.members[:]...)
	p = append(p, make([]byte, 24)...)
	return binary.LittleEndian.AppendUint64(p, xxhash.Sum64(p))
}

func parseIdentity(p []byte) (identity, error) {
	if len(p) < identitySize {
		return identity{}, corrupt(identityName, 0, "%d bytes, expected %d", len(p), identitySize)
	}
	if string(p[:8]) != identityMagic {
		return identity{}, corrupt(identityName, 0, "magic %q, expected %q", p[:8], identityMagic)
	}
	sealed := len(p) - 8
	if got, want := xxhash.Sum64(p[:sealed]), binary.LittleEndian.Uint64(p[sealed:]); got != want {
		return identity{}, corrupt(identityName, int64(sealed), "checksum %016x, expected %016x", got, want)
	}
	switch v := binary.LittleEndian.Uint32(p[8:]); {
	case v > formatVersion:
		return identity{}, fmt.Errorf("%s has version %d, this program knows %d: %w",
			identityName, v, formatVersion, ErrNewerVersion)
	case v != formatVersion:
		return identity{}, corrupt(identityName, 8, "version %d, expected %d", v, formatVersion)
	case len(p) != identitySize || binary.LittleEndian.Uint32(p[12:]) != identitySize:
		return identity{}, corrupt(identityName, 12, "%d bytes, expected %d", len(p), identitySize)
	}
	flags := binary.LittleEndian.Uint16(p[38:])
	id := identity{
		set:        SetID(p[16:32]),
		index:      int(binary.LittleEndian.Uint16(p[36:])),
		rebuilding: flags&flagRebuilding != 0,
		epoch:      binary.LittleEndian.Uint64(p[48:]),
		floor:      binary.LittleEndian.Uint64(p[56:]),
		members:    memberSet(p[64:96]),
		geo: geometry{
			k:    int(binary.LittleEndian.Uint16(p[32:])),
			m:    int(binary.LittleEndian.Uint16(p[34:])),
			unit: int(binary.LittleEndian.Uint32(p[40:])),
		},
	}
	if err := id.geo.validate(); err != nil {
		return identity{}, corrupt(identityName, 32, "%v", err)
	}
	switch {
	case id.index >= id.geo.shards():
		return identity{}, corrupt(identityName, 36, "shard %d of %d", id.index, id.geo.shards())
	case flags&^flagRebuilding != 0:
		return identity{}, corrupt(identityName, 38, "flags %#x", flags)
	case id.floor > id.epoch:
		return identity{}, corrupt(identityName, 56, "floor %d above epoch %d", id.floor, id.epoch)
	case !id.members.has(id.index) || id.members.count() < id.geo.changeQuorum() || id.members.beyond(id.geo.shards()):
		return identity{}, corrupt(identityName, 64, "members % x of %d shards", id.members, id.geo.shards())
	case !blockio.IsZero(p[44:48]) || !blockio.IsZero(p[96:120]):
		return identity{}, corrupt(identityName, 44, "reserved bytes are not zero")
	}
	return id, nil
}

var errGeometry = errors.New("no possible shape of a stripe")

// validate checks what comes from options and from disk.
func (g geometry) validate() error {
	if g.k < 1 || g.m < 0 || g.shards() > maxShards {
		return fmt.Errorf("%d data and %d parity shards: %w", g.k, g.m, errGeometry)
	}
	if g.unit < blockio.BlockSize || g.unit%blockio.BlockSize != 0 || g.unit > maxUnit {
		return fmt.Errorf("unit of %d bytes: %w", g.unit, errGeometry)
	}
	return nil
}
