package vmdk

import (
	"fmt"

	"github.com/klauspost/compress/zlib"

	"github.com/blockmill/blockmill/blockio"
)

// piece is what one WriteAt adds to the stream: the grains of a range, each
// with its marker and padded to whole sectors.
type piece struct {
	bytes []byte
	// grains are in ascending order.
	grains []storedGrain
}

// storedGrain is a grain of a piece and the sector of the piece where it
// stands.
type storedGrain struct {
	number int64
	sector uint32
}

// compressor makes pieces. It is safe for concurrent use.
type compressor struct {
	level int
	spare chan *worker
}

// worker is what one goroutine needs to compress.
type worker struct {
	z    *zlib.Writer
	out  pieceWriter
	last []byte // room for the last grain with its padding
}

// pieceWriter appends to the bytes of a piece.
type pieceWriter struct{ bytes []byte }

func (w *pieceWriter) Write(p []byte) (int, error) {
	w.bytes = append(w.bytes, p...)
	return len(p), nil
}

func newCompressor(level int) *compressor {
	return &compressor{level: level, spare: make(chan *worker, maxSpare)}
}

func (c *compressor) get() (*worker, error) {
	select {
	case w := <-c.spare:
		return w, nil
	default:
	}
	w := &worker{last: make([]byte, writeGrain)}
	z, err := zlib.NewWriterLevel(&w.out, c.level)
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	w.z = z
	return w, nil
}

func (c *compressor) put(w *worker) {
	select {
	case c.spare <- w:
	default:
	}
}

// compress makes the piece of the guest bytes p at off, which begin a grain.
// It has no grains where p is zeros.
func (c *compressor) compress(p []byte, off int64) (*piece, error) {
	w, err := c.get()
	if err != nil {
		return nil, err
	}
	defer c.put(w)
	w.out.bytes = w.out.bytes[:0]
	made := &piece{}
	for len(p) > 0 {
		blockio.Yield()
		n := min(len(p), writeGrain)
		if g := p[:n]; !blockio.IsZero(g) {
			made.grains = append(made.grains, storedGrain{number: off / writeGrain, sector: uint32(len(w.out.bytes) / sectorSize)})
			if err := w.grain(g, off); err != nil {
				return nil, fmt.Errorf("compress %d bytes at %d: %w", n, off, err)
			}
		}
		p, off = p[n:], off+int64(n)
	}
	made.bytes = append(make([]byte, 0, len(w.out.bytes)), w.out.bytes...)
	return made, nil
}

// grain appends one grain with its marker. A last grain that the image ends
// in is stored whole: some readers take nothing less.
func (w *worker) grain(p []byte, off int64) error {
	if len(p) < writeGrain {
		clear(w.last[copy(w.last, p):])
		p = w.last
	}
	start := len(w.out.bytes)
	var head [markerSize]byte
	w.out.bytes = append(w.out.bytes, head[:grainMarkerSize]...)
	w.z.Reset(&w.out)
	if _, err := w.z.Write(p); err != nil {
		return err
	}
	if err := w.z.Close(); err != nil {
		return err
	}
	stored := len(w.out.bytes) - start - grainMarkerSize
	marker{val: uint64(off / sectorSize), size: uint32(stored)}.encode(head[:])
	copy(w.out.bytes[start:], head[:grainMarkerSize])
	if rest := len(w.out.bytes) % sectorSize; rest != 0 {
		w.out.bytes = append(w.out.bytes, make([]byte, sectorSize-rest)...)
	}
	return nil
}
