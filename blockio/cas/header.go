package cas

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/blockmill/blockmill/blockio"
	"github.com/cespare/xxhash/v2"
)

// formatVersion is the version of every object that this package writes, and
// the newest that it reads.
const formatVersion = 1

// Magic numbers, the first 8 bytes of headers and footers.
const (
	storeMagic          = "bmSTORE\n"
	segmentMagic        = "bmSEGMT\n"
	segmentFooterMagic  = "bmSEGME\n"
	manifestMagic       = "bmMANIF\n"
	manifestFooterMagic = "bmMANIE\n"
	recordMagic         = "bmRECRD\n"
)

// header is what meta/store holds. Its layout is in FORMAT.md.
type header struct {
	id      StoreID
	cut     Cut
	creator string // what made the store, for people to read
}

const (
	headerSize  = 128
	creatorSize = 32
)

func (h header) encode() []byte {
	p := make([]byte, 0, headerSize)
	p = append(p, storeMagic...)
	p = binary.LittleEndian.AppendUint32(p, formatVersion)
	p = binary.LittleEndian.AppendUint32(p, headerSize)
	p = append(p, h.id[:]...)
	p = h.cut.append(p)
	var creator [creatorSize]byte
	copy(creator[:], h.creator)
	p = append(p, creator[:]...)
	p = append(p, make([]byte, headerSize-8-len(p))...)
	return seal(p)
}

func parseHeader(p []byte) (header, error) {
	if err := open(p, headerName, 0, headerSize, storeMagic); err != nil {
		return header{}, err
	}
	h := header{id: StoreID(p[16:32])}
	var err error
	if h.cut, err = parseCut(p[32:]); err != nil {
		return header{}, corrupt(headerName, 32, "%v", err)
	}
	if err := allZero(p[96:120], headerName, 96); err != nil {
		return header{}, err
	}
	h.creator = string(bytes.TrimRight(p[64:64+creatorSize], "\x00"))
	return h, nil
}

// seal appends the checksum that ends every header and footer.
func seal(p []byte) []byte {
	return binary.LittleEndian.AppendUint64(p, xxhash.Sum64(p))
}

// open checks what all headers and footers have in common: at least size bytes, of
// which the first 8 are the magic, the next 4 the version, and the last 8 of
// size the checksum of those before. Off is their place in the object. Damage is
// not taken for a version.
func open(p []byte, object string, off int64, size int, magic string) error {
	if len(p) < size {
		return corrupt(object, off, "%d bytes, expected %d", len(p), size)
	}
	if string(p[:8]) != magic {
		return corrupt(object, off, "magic %q, expected %q", p[:8], magic)
	}
	if v := binary.LittleEndian.Uint32(p[8:]); v != formatVersion {
		if v > formatVersion && !isSealed(p[:size], formatVersion) {
			return fmt.Errorf("%s has version %d, this program knows %d: %w", object, v, formatVersion, ErrNewerVersion)
		}
		return corrupt(object, off+8, "version %d, expected %d", v, formatVersion)
	}
	if got, want := xxhash.Sum64(p[:size-8]), binary.LittleEndian.Uint64(p[size-8:]); got != want {
		return corrupt(object, off+int64(size)-8, "checksum %016x, expected %016x", got, want)
	}
	return nil
}

// isSealed says whether the checksum at the end of p is right for a version: then
// it is the field of the version that is damaged.
func isSealed(p []byte, version uint32) bool {
	d := xxhash.New()
	// A hash never fails.
	_, _ = d.Write(p[:8])
	_, _ = d.Write(binary.LittleEndian.AppendUint32(nil, version))
	_, _ = d.Write(p[12 : len(p)-8])
	return d.Sum64() == binary.LittleEndian.Uint64(p[len(p)-8:])
}

// allZero says whether reserved bytes are what they must be.
func allZero(p []byte, object string, off int64) error {
	if !blockio.IsZero(p) {
		return corrupt(object, off, "reserved bytes are not zero")
	}
	return nil
}

func readHeader(ctx context.Context, v blockio.Volume) (header, error) {
	var h header
	err := readObject(ctx, v, headerName, headerSize, func(p []byte) (err error) {
		h, err = parseHeader(p)
		return err
	})
	if errors.Is(err, blockio.ErrNotFound) {
		return h, ErrNoStore
	}
	if err != nil {
		return h, fmt.Errorf("read store header: %w", err)
	}
	return h, nil
}
