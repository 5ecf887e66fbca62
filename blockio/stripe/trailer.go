package stripe

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"

	"github.com/blockmill/blockmill/blockio"
)

// formatVersion is the version of what this package writes, and the newest that
// it reads.
const formatVersion = 1

const (
	footerMagic = "bmSHARD\n"
	footerSize  = 128
)

// SetID identifies a stripe; its shards all carry it.
type SetID [16]byte

func (id SetID) String() string { return hex.EncodeToString(id[:]) }

// generation identifies one write of an object: all its shards carry it, and
// no other write of the same name does.
type generation [16]byte

func (g generation) String() string { return hex.EncodeToString(g[:]) }

// trailer is what follows the units in a shard's object: the table of their
// checksums, the object's name and the footer. FORMAT.md has the layout.
type trailer struct {
	set  SetID
	gen  generation
	geo  geometry
	size int64 // sealed size of the object
	// index is the shard's position.
	index int
	name  string
	sums  []uint64 // one for each row
}

// The footer's size is what the layout below adds up to.
var _ [footerSize]byte = [8 + 4 + 4 + 16 + 16 + 8 + 4 + 2 + 2 + 2 + 2 + 4 + 8 + 40 + 8]byte{}

func (t *trailer) encodedSize() int { return len(t.sums)*8 + len(t.name) + footerSize }

// encode is the trailer as it is stored after the units.
func (t *trailer) encode() []byte {
	p := make([]byte, 0, t.encodedSize())
	for _, sum := range t.sums {
		p = binary.LittleEndian.AppendUint64(p, sum)
	}
	p = append(p, t.name...)
	tableSum := xxhash.Sum64(p)
	start := len(p)
	p = append(p, footerMagic...)
	p = binary.LittleEndian.AppendUint32(p, formatVersion)
	p = binary.LittleEndian.AppendUint32(p, footerSize)
	p = append(p, t.set[:]...)
	p = append(p, t.gen[:]...)
	p = binary.LittleEndian.AppendUint64(p, uint64(t.size))
	p = binary.LittleEndian.AppendUint32(p, uint32(t.geo.unit))
	p = binary.LittleEndian.AppendUint16(p, uint16(t.geo.k))
	p = binary.LittleEndian.AppendUint16(p, uint16(t.geo.m))
	p = binary.LittleEndian.AppendUint16(p, uint16(t.index))
	p = binary.LittleEndian.AppendUint16(p, uint16(len(t.name)))
	p = append(p, make([]byte, 4)...)
	p = binary.LittleEndian.AppendUint64(p, tableSum)
	p = append(p, make([]byte, 40)...)
	return binary.LittleEndian.AppendUint64(p, xxhash.Sum64(p[start:]))
}

// readTrailer reads the trailer of a shard's object. The name is for errors.
func readTrailer(r io.ReaderAt, size int64, name string) (*trailer, error) {
	end := make([]byte, min(size, blockio.BlockSize))
	if err := readFull(r, end, size-int64(len(end))); err != nil {
		return nil, fmt.Errorf("read footer: %w", err)
	}
	if len(end) < footerSize {
		return nil, corrupt(name, 0, "%d bytes are no shard", size)
	}
	t, nameLen, tableSum, err := parseFooter(end[len(end)-footerSize:], size, name)
	if err != nil {
		return nil, err
	}
	lay := t.geo.layout(t.size)
	start := lay.shardBytes()
	table := int64(nameLen) + lay.rows()*8
	if start+table+footerSize != size {
		return nil, corrupt(name, size-footerSize+48, "sealed size %d makes %d bytes, expected %d",
			t.size, start+table+footerSize, size)
	}
	var p []byte
	if table+footerSize <= int64(len(end)) {
		p = end[int64(len(end))-footerSize-table : len(end)-footerSize]
	} else {
		p = make([]byte, table)
		if err := readFull(r, p, start); err != nil {
			return nil, fmt.Errorf("read checksum table: %w", err)
		}
	}
	if got := xxhash.Sum64(p); got != tableSum {
		return nil, corrupt(name, start, "checksum of the table is %016x, expected %016x", got, tableSum)
	}
	t.sums = make([]uint64, lay.rows())
	for i := range t.sums {
		t.sums[i] = binary.LittleEndian.Uint64(p[i*8:])
	}
	t.name = string(p[lay.rows()*8:])
	return t, nil
}

// parseFooter reads the footer of an object of the given length.
func parseFooter(p []byte, size int64, name string) (t *trailer, nameLen int, tableSum uint64, err error) {
	at := size - footerSize
	if string(p[:8]) != footerMagic {
		return nil, 0, 0, corrupt(name, at, "magic %q, expected %q", p[:8], footerMagic)
	}
	if got, want := xxhash.Sum64(p[:footerSize-8]), binary.LittleEndian.Uint64(p[footerSize-8:]); got != want {
		return nil, 0, 0, corrupt(name, at, "checksum of the footer is %016x, expected %016x", got, want)
	}
	switch v := binary.LittleEndian.Uint32(p[8:]); {
	case v > formatVersion:
		return nil, 0, 0, fmt.Errorf("%s has version %d, this program knows %d: %w", name, v, formatVersion, ErrNewerVersion)
	case v != formatVersion:
		return nil, 0, 0, corrupt(name, at+8, "version %d, expected %d", v, formatVersion)
	}
	t = &trailer{
		set:   SetID(p[16:32]),
		gen:   generation(p[32:48]),
		size:  int64(binary.LittleEndian.Uint64(p[48:])),
		index: int(binary.LittleEndian.Uint16(p[64:])),
		geo: geometry{
			unit: int(binary.LittleEndian.Uint32(p[56:])),
			k:    int(binary.LittleEndian.Uint16(p[60:])),
			m:    int(binary.LittleEndian.Uint16(p[62:])),
		},
	}
	if err := t.geo.validate(); err != nil {
		return nil, 0, 0, corrupt(name, at+56, "%v", err)
	}
	switch {
	case binary.LittleEndian.Uint32(p[12:]) != footerSize:
		return nil, 0, 0, corrupt(name, at+12, "length %d, expected %d", binary.LittleEndian.Uint32(p[12:]), footerSize)
	case t.size < 0 || t.size > maxObject:
		return nil, 0, 0, corrupt(name, at+48, "sealed size %d", t.size)
	case t.index >= t.geo.shards():
		return nil, 0, 0, corrupt(name, at+64, "shard %d of %d", t.index, t.geo.shards())
	case !blockio.IsZero(p[68:72]) || !blockio.IsZero(p[80:120]):
		return nil, 0, 0, corrupt(name, at+68, "reserved bytes are not zero")
	}
	return t, int(binary.LittleEndian.Uint16(p[66:])), binary.LittleEndian.Uint64(p[72:]), nil
}

// maxObject bounds sealed sizes, so that no arithmetic on them overflows.
const maxObject = 1 << 56

// readFull reads all of p; the end of the source is an error.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || err == io.EOF:
		return fmt.Errorf("%d bytes of %d at %d: %w", n, len(p), off, io.ErrUnexpectedEOF)
	default:
		return err
	}
}
