package cas

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/xxh64"
	"github.com/cespare/xxhash/v2"
)

const (
	// WindowSize is the guest range that one PutWindow carries. Chunks do not
	// cross windows.
	WindowSize = 4 << 20

	// grid is the guest alignment of chunk boundaries, the block size of
	// guest file systems.
	grid = 4 << 10

	// maxChunk bounds the chunks of every cut.
	maxChunk = 1 << 20

	// maxSpans is the most chunks that a window can be cut into.
	maxSpans = WindowSize / grid
)

// CutKind says how a store cuts windows into chunks.
type CutKind uint32

const (
	// CutContent cuts where the content says so, on the 4 KiB grid. It is
	// the zero value.
	CutContent CutKind = iota
	// CutFixed cuts at multiples of Max.
	CutFixed
)

// Cut is the rule by which a store cuts guest bytes into chunks. The zero value
// means [CanonicalCut]. It is chosen when a store is made and never changes.
type Cut struct {
	Kind CutKind
	// Min and Max bound the length of a chunk in bytes, multiples of 4 KiB.
	// Zero blocks, the window's end and the image's end cut shorter.
	Min, Max uint32
	// Bits is how many bits of a block's hash must be zero for the block to
	// end a chunk: on average every 2^Bits blocks.
	Bits uint32
	// Pad, if not zero, lets a block end a chunk of PadMin bytes or more when
	// its last Pad bytes are zeros. File systems fill up a file's last block
	// so, and a chunk that ends with its file is found again wherever the
	// file is laid.
	Pad, PadMin uint32
	// Seed is the seed of the block hash.
	Seed uint64
}

// CanonicalCut is the cut over which image digests are defined (FORMAT.md). A
// store that uses it gets the digest for free.
func CanonicalCut() Cut {
	return Cut{Kind: CutContent, Min: 8 << 10, Max: 256 << 10, Bits: 4, Pad: 32, PadMin: 12 << 10}
}

func (c Cut) withDefaults() Cut {
	if c == (Cut{}) {
		return CanonicalCut()
	}
	if c.Kind == CutFixed && c.Min == 0 {
		c.Min = c.Max
	}
	return c
}

func (c Cut) validate() error {
	switch {
	case c.Kind > CutFixed:
		return fmt.Errorf("cut kind %d is unknown", c.Kind)
	case c.Max < grid || c.Max > maxChunk || c.Max%grid != 0:
		return fmt.Errorf("largest chunk %d is no multiple of %d up to %d", c.Max, grid, maxChunk)
	case c.Min < grid || c.Min > c.Max || c.Min%grid != 0:
		return fmt.Errorf("smallest chunk %d is no multiple of %d up to %d", c.Min, grid, c.Max)
	case c.Kind == CutFixed && (c.Min != c.Max || c.Bits != 0 || c.Seed != 0 || c.Pad != 0):
		return errors.New("a fixed cut has one length, no bits, no padding and no seed")
	case c.Pad > grid || c.PadMin > c.Max || c.PadMin%grid != 0:
		return fmt.Errorf("padding of %d bytes from %d on does not fit a block of %d and a chunk of %d", c.Pad, c.PadMin, grid, c.Max)
	case c.Bits > 16:
		return fmt.Errorf("%d bits of the block hash are more than 16", c.Bits)
	}
	return nil
}

// span is a chunk's place in its window, in bytes.
type span struct{ off, len uint32 }

// appendSpans cuts a window into chunks and appends their spans. A zero block
// belongs to no chunk. Window must not be longer than WindowSize; a last block
// shorter than the grid is treated as a whole one.
func (c Cut) appendSpans(dst []span, window []byte) []span {
	var start, end uint32 // the chunk being gathered is [start, end)
	sums := blockSums{cut: c, window: window}
	for at := uint32(0); at < uint32(len(window)); at += grid {
		block := window[at:min(at+grid, uint32(len(window)))]
		zero := blockio.IsZero(block)
		if !zero {
			if start == end {
				start = at
			}
			end = at + uint32(len(block))
			if !c.ends(block, at, end-start, &sums) {
				continue
			}
		}
		if start != end {
			dst = append(dst, span{start, end - start})
		}
		start, end = 0, 0
	}
	if start != end {
		dst = append(dst, span{start, end - start})
	}
	return dst
}

// ends says whether a chunk ends with this block, which lies at offset at and
// makes it length bytes long.
func (c Cut) ends(block []byte, at, length uint32, sums *blockSums) bool {
	switch {
	case c.Kind == CutFixed:
		return (at+grid)%c.Max == 0
	case length >= c.Max:
		return true
	case c.Pad != 0 && length >= c.PadMin && blockio.IsZero(block[max(0, len(block)-int(c.Pad)):]):
		return true
	case length < c.Min:
		return false
	}
	return sums.of(at)&(1<<c.Bits-1) == 0
}

// blockSums are the hashes of a window's blocks, a few of them made ahead: they are
// asked for in the order of the blocks, and most of them are.
type blockSums struct {
	cut    Cut
	window []byte

	from, to int // blocks whose hashes are there
	sums     [xxh64.MaxLanes]uint64
	parts    [xxh64.MaxLanes][]byte
}

// of is the hash of the block at offset at.
func (b *blockSums) of(at uint32) uint64 {
	i := int(at / grid)
	if i < b.from || i >= b.to {
		b.fill(i)
	}
	return b.sums[i-b.from]
}

// fill makes the hashes of the blocks from first on.
func (b *blockSums) fill(first int) {
	b.from, b.to = first, first
	if b.cut.Seed != 0 {
		var d xxhash.Digest
		d.ResetWithSeed(b.cut.Seed)
		_, _ = d.Write(b.block(first)) // never an error
		b.sums[0], b.to = d.Sum64(), first+1
		return
	}
	for b.to < first+xxh64.Lanes() && b.to*grid < len(b.window) {
		b.parts[b.to-first] = b.block(b.to)
		b.to++
	}
	xxh64.SumMany(b.sums[:], b.parts[:b.to-first])
}

func (b *blockSums) block(i int) []byte {
	return b.window[i*grid : min((i+1)*grid, len(b.window))]
}

// cutSize is the encoded length of a Cut.
const cutSize = 32

func (c Cut) append(p []byte) []byte {
	p = binary.LittleEndian.AppendUint32(p, uint32(c.Kind))
	p = binary.LittleEndian.AppendUint32(p, c.Min)
	p = binary.LittleEndian.AppendUint32(p, c.Max)
	p = binary.LittleEndian.AppendUint32(p, c.Bits)
	p = binary.LittleEndian.AppendUint32(p, c.Pad)
	p = binary.LittleEndian.AppendUint32(p, c.PadMin)
	return binary.LittleEndian.AppendUint64(p, c.Seed)
}

func parseCut(p []byte) (Cut, error) {
	c := Cut{
		Kind: CutKind(binary.LittleEndian.Uint32(p)),
		Min:  binary.LittleEndian.Uint32(p[4:]),
		Max:  binary.LittleEndian.Uint32(p[8:]),
		Bits: binary.LittleEndian.Uint32(p[12:]),
		Pad:  binary.LittleEndian.Uint32(p[16:]), PadMin: binary.LittleEndian.Uint32(p[20:]),
		Seed: binary.LittleEndian.Uint64(p[24:]),
	}
	return c, c.validate()
}
