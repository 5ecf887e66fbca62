package raw

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/blockio"
)

// Target is where a Writer writes. A *blockio.Device is one.
type Target interface {
	io.WriterAt
	Truncate(size int64) error
	Sync() error
}

// What a Target may be able to do besides.
type (
	// blockDevice tells a block device, which holds old data, from a file.
	blockDevice interface{ IsBlockDevice() bool }
	allocator   interface{ Allocate(off, n int64) error }
	zeroer      interface{ ZeroRange(off, n int64) error }
)

// WriterOptions say how to write; the zero value writes a sparse file.
type WriterOptions struct {
	// Dense allocates the file first and writes all of it, zeros included.
	Dense bool
}

const (
	// block is the granularity at which zeros are looked for.
	block = blockio.BlockSize
	// minSkip is from how many zero bytes on a run between data is left out.
	// A shorter one costs more as a second write than as bytes.
	minSkip = 16 << 10
	// minZeroRange is the same where a run must be zeroed explicitly.
	minZeroRange = 64 << 10
	// fillSize is how much of a gap is written at once, and fillers how many
	// such writes are under way.
	fillSize = 1 << 20
	fillers  = 4
	// zeroStep is how much of a gap is zeroed between looks at the context.
	zeroStep = 1 << 30
)

// Writer writes an image. WriteAt may be called concurrently for disjoint
// ranges; Finish once, after them.
type Writer struct {
	dst     Target
	size    int64
	dense   bool
	zeroer  zeroer // nil unless old data must be zeroed, and can be
	fill    bool   // what nobody writes must be filled with zeros
	written ranges
}

// Create begins an image of size bytes. A file is emptied first. A block
// device keeps its size, and every byte of the image on it is written or
// zeroed, because it may hold old data.
func Create(dst Target, size int64, opts WriterOptions) (*Writer, error) {
	if size <= 0 || size%sectorSize != 0 {
		return nil, fmt.Errorf("create raw image: size %d: not a positive multiple of %d", size, sectorSize)
	}
	w := &Writer{dst: dst, size: size, dense: opts.Dense, fill: opts.Dense}
	if d, ok := dst.(blockDevice); ok && d.IsBlockDevice() {
		w.fill = true
		w.zeroer, _ = dst.(zeroer)
		if opts.Dense {
			w.zeroer = nil
		}
		return w, nil
	}
	for _, n := range []int64{0, size} {
		if err := dst.Truncate(n); err != nil {
			return nil, fmt.Errorf("create raw image: %w", err)
		}
	}
	if a, ok := dst.(allocator); ok && opts.Dense {
		if err := a.Allocate(0, size); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return nil, fmt.Errorf("create raw image: %w", err)
		}
	}
	return w, nil
}

// WriteAt writes guest bytes. Zeros become holes where they can.
func (w *Writer) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || int64(len(p)) > w.size-off {
		return 0, fmt.Errorf("write raw image: %d bytes at %d: outside of the image", len(p), off)
	}
	if w.fill {
		w.written.add(off, off+int64(len(p)))
	}
	if w.dense {
		return w.dst.WriteAt(p, off)
	}
	skip := minSkip
	if w.fill {
		skip = minZeroRange
	}
	for done := 0; done < len(p); {
		data, zeros := split(p[done:], off+int64(done), skip)
		if data > 0 {
			if _, err := w.dst.WriteAt(p[done:done+data], off+int64(done)); err != nil {
				return done, err
			}
			done += data
		}
		if zeros > 0 {
			if err := w.zero(p[done:done+zeros], off+int64(done)); err != nil {
				return done, err
			}
			done += zeros
		}
	}
	return len(p), nil
}

// zero sees to it that the zero bytes p at off read as zeros.
func (w *Writer) zero(p []byte, off int64) error {
	if !w.fill {
		return nil
	}
	if w.zeroer != nil {
		err := w.zeroer.ZeroRange(off, int64(len(p)))
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	_, err := w.dst.WriteAt(p, off)
	return err
}

// split tells how many bytes at the start of p, which stand at off, are to be
// written, and how many zeros follow that are not: whole blocks, at least skip
// bytes of them unless they begin or end p.
func split(p []byte, off int64, skip int) (data, zeros int) {
	for i := 0; i < len(p); {
		run := zeroRun(p[i:], off+int64(i))
		if run >= skip || (run > 0 && (i == 0 || i+run == len(p))) {
			return data, run
		}
		if run == 0 {
			run = blockEnd(p[i:], off+int64(i))
		}
		i += run
		data = i
	}
	return data, 0
}

// zeroRun is how many bytes at the start of p are blocks of zeros.
func zeroRun(p []byte, off int64) int {
	run := 0
	for run < len(p) {
		n := blockEnd(p[run:], off+int64(run))
		if !blockio.IsZero(p[run : run+n]) {
			break
		}
		run += n
	}
	return run
}

// blockEnd is how much of p belongs to the block in which off lies.
func blockEnd(p []byte, off int64) int {
	return min(len(p), int(block-off%block))
}

// Finish fills what must be filled, sets the length and makes all of it
// durable.
func (w *Writer) Finish(ctx context.Context) error {
	if w.fill {
		if err := w.fillGaps(ctx); err != nil {
			return fmt.Errorf("finish raw image: %w", err)
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("finish raw image: %w", err)
	}
	if err := w.dst.Truncate(w.size); err != nil {
		return fmt.Errorf("finish raw image: %w", err)
	}
	if err := w.dst.Sync(); err != nil {
		return fmt.Errorf("finish raw image: %w", err)
	}
	return nil
}

// fillGaps zeroes what nobody wrote.
func (w *Writer) fillGaps(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fillers)
	zeros := make([]byte, fillSize)
	step := int64(fillSize)
	if w.zeroer != nil {
		step = zeroStep
	}
	for start, end := range w.written.gaps(w.size) {
		for off := start; off < end && ctx.Err() == nil; off += step {
			g.Go(func() error { return w.fillRange(ctx, off, min(off+step, end), zeros) })
		}
	}
	return g.Wait()
}

func (w *Writer) fillRange(ctx context.Context, off, end int64, zeros []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.zeroer != nil {
		err := w.zeroer.ZeroRange(off, end-off)
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	for ; off < end; off += int64(len(zeros)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := w.dst.WriteAt(zeros[:min(int64(len(zeros)), end-off)], off); err != nil {
			return err
		}
	}
	return nil
}
