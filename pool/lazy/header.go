package lazy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
)

// Identity tells one base from another.
type Identity [32]byte

// header is the beginning of a map; FORMAT.md has its layout.
type header struct {
	block    int64 // bytes
	size     int64 // of the disk, in bytes
	baseSize int64
	base     Identity
}

const (
	version    = 1
	headerSize = 4 << 10
	minBlock   = 4 << 10
	maxBlock   = 1 << 20
	// maxBlocks bounds what the bits of a map take in memory: 8 MiB.
	maxBlocks = 64 << 20
	maxSize   = maxBlocks * maxBlock
)

var (
	magic    = [8]byte{'B', 'M', 'L', 'A', 'Z', 'Y'}
	checksum = crc32.MakeTable(crc32.Castagnoli)
)

// blockFor is the block size of a new disk: as small as guests write, unless the
// map became too large.
func blockFor(size int64) int64 {
	block := int64(minBlock)
	for size > block*maxBlocks {
		block *= 2
	}
	return block
}

// blocks is how many blocks the disk has; the last one may be short.
func (h header) blocks() int64 { return (h.size + h.block - 1) / h.block }

func (h header) encode() []byte {
	p := make([]byte, headerSize)
	copy(p, magic[:])
	le := binary.LittleEndian
	le.PutUint32(p[8:], version)
	le.PutUint32(p[12:], uint32(h.block))
	le.PutUint64(p[16:], uint64(h.size))
	le.PutUint64(p[24:], uint64(h.baseSize))
	copy(p[32:], h.base[:])
	le.PutUint32(p[headerSize-4:], crc32.Checksum(p[:headerSize-4], checksum))
	return p
}

// parseHeader reads a header, which has headerSize bytes.
func parseHeader(p []byte) (header, error) {
	le := binary.LittleEndian
	switch {
	case len(p) != headerSize || !bytes.Equal(p[:8], magic[:]):
		return header{}, fmt.Errorf("%w: no magic number", ErrCorrupt)
	case le.Uint32(p[8:]) != version:
		return header{}, fmt.Errorf("%w: %d", ErrVersion, le.Uint32(p[8:]))
	case le.Uint32(p[headerSize-4:]) != crc32.Checksum(p[:headerSize-4], checksum):
		return header{}, fmt.Errorf("%w: checksum of the header", ErrCorrupt)
	}
	h := header{
		block: int64(le.Uint32(p[12:])), size: int64(le.Uint64(p[16:])), baseSize: int64(le.Uint64(p[24:])),
		base: Identity(p[32:64]),
	}
	switch {
	case h.block < minBlock || h.block > maxBlock || bits.OnesCount64(uint64(h.block)) != 1:
		return header{}, fmt.Errorf("%w: blocks of %d bytes", ErrCorrupt, h.block)
	case h.size <= 0 || h.size > maxSize || h.blocks() > maxBlocks:
		return header{}, fmt.Errorf("%w: a disk of %d bytes", ErrCorrupt, h.size)
	case h.baseSize < 0 || h.baseSize > h.size:
		return header{}, fmt.Errorf("%w: a base of %d bytes", ErrCorrupt, h.baseSize)
	}
	return h, nil
}
