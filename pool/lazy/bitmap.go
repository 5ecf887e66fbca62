package lazy

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
	"sync/atomic"
)

// Sectors of the map; FORMAT.md has their layout.
const (
	sectorSize  = 512
	sectorWords = 63
	sectorBits  = 64 * sectorWords
)

// bitmap says which blocks are the disk's own, in memory. Bits are set and
// never cleared, by anyone at any time.
type bitmap struct {
	blocks int64 // immutable
	words  []atomic.Uint64
	dirty  []atomic.Bool // sectors that are not on disk as they are here
	set    atomic.Int64  // how many bits are
}

func newBitmap(blocks int64) *bitmap {
	sectors := (blocks + sectorBits - 1) / sectorBits
	return &bitmap{
		blocks: blocks,
		words:  make([]atomic.Uint64, sectors*sectorWords),
		dirty:  make([]atomic.Bool, sectors),
	}
}

func (b *bitmap) sectors() int { return len(b.dirty) }

func (b *bitmap) has(block int64) bool {
	return b.words[block/64].Load()&(1<<(block%64)) != 0
}

// run is how long the run of blocks from first on is that are alike, and
// whether they are the disk's own. It ends at end, which is beyond first.
func (b *bitmap) run(first, end int64) (n int64, own bool) {
	own = b.has(first)
	for at := first; at < end; {
		word := b.words[at/64].Load() >> (at % 64)
		if own {
			word = ^word
		}
		rest := 64 - at%64
		if same := min(int64(bits.TrailingZeros64(word)), rest); same < rest {
			return min(at+same, end) - first, own
		}
		at += rest
	}
	return end - first, own
}

// add makes the blocks from first up to end the disk's own.
func (b *bitmap) add(first, end int64) {
	for at := first; at < end; {
		n := min(64-at%64, end-at)
		mask := ^uint64(0) >> (64 - n) << (at % 64)
		if fresh := mask &^ b.words[at/64].Or(mask); fresh != 0 {
			b.set.Add(int64(bits.OnesCount64(fresh)))
			b.dirty[at/sectorBits].Store(true)
		}
		at += n
	}
}

// full says whether all blocks are the disk's own.
func (b *bitmap) full() bool { return b.set.Load() == b.blocks }

// encode writes a sector into p, and notes that it is to be on disk.
func (b *bitmap) encode(p []byte, sector int) {
	b.dirty[sector].Store(false) // before the bits: one set meanwhile is dirty
	for i := range sectorWords {
		binary.LittleEndian.PutUint64(p[8*i:], b.words[sector*sectorWords+i].Load())
	}
	binary.LittleEndian.PutUint32(p[8*sectorWords:], uint32(sector))
	binary.LittleEndian.PutUint32(p[sectorSize-4:], crc32.Checksum(p[:sectorSize-4], checksum))
}

// decode reads a sector.
func (b *bitmap) decode(p []byte, sector int) error {
	any := false
	for _, c := range p[:sectorSize] {
		any = any || c != 0
	}
	if !any {
		return nil
	}
	if binary.LittleEndian.Uint32(p[sectorSize-4:]) != crc32.Checksum(p[:sectorSize-4], checksum) {
		return fmt.Errorf("%w: checksum of sector %d", ErrCorrupt, sector)
	}
	if i := binary.LittleEndian.Uint32(p[8*sectorWords:]); i != uint32(sector) {
		return fmt.Errorf("%w: sector %d says that it is %d", ErrCorrupt, sector, i)
	}
	n := 0
	for i := range sectorWords {
		w := binary.LittleEndian.Uint64(p[8*i:])
		b.words[sector*sectorWords+i].Store(w)
		n += bits.OnesCount64(w)
	}
	if last := b.blocks - int64(sector)*sectorBits; last < sectorBits {
		for at := last; at < sectorBits; at++ {
			if b.has(int64(sector)*sectorBits + at) {
				return fmt.Errorf("%w: block %d of %d", ErrCorrupt, int64(sector)*sectorBits+at, b.blocks)
			}
		}
	}
	b.set.Add(int64(n))
	return nil
}
