package convert

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/blockio"
)

// Equal is the answer of Compare for images that do not differ.
const Equal int64 = -1

// Compare tells the first guest offset at which two images differ, or Equal.
// Images of different sizes differ at the end of the shorter one, if not
// before. Where both sides hold no data nothing is read.
func Compare(ctx context.Context, a, b Image, opts Options) (int64, error) {
	opts = opts.withDefaults()
	c := &comparison{a: a, b: b, opts: opts, size: min(a.Size(), b.Size()), progress: newMeter(opts.Progress)}
	c.first.Store(math.MaxInt64)
	g, ctx := errgroup.WithContext(ctx)
	read := make(chan struct{})
	g.Go(func() error { return check(ctx, a, read) })
	g.Go(func() error { return check(ctx, b, read) })
	if c.progress != nil {
		g.Go(func() error { return c.progress.measure(ctx, a) })
	}
	g.Go(func() error {
		if err := c.run(ctx); err != nil {
			return err
		}
		close(read)
		return nil
	})
	if err := g.Wait(); err != nil {
		return 0, err
	}
	if first := c.first.Load(); first < c.size {
		return first, nil
	}
	if a.Size() != b.Size() {
		return c.size, nil
	}
	return Equal, nil
}

// comparison is one run of Compare.
type comparison struct {
	a, b     Image
	opts     Options
	size     int64 // of the part that both have
	progress *meter
	first    atomic.Int64 // the least offset known to differ
}

// run walks the windows until none before the first difference is left.
func (c *comparison) run(ctx context.Context) error {
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(max(c.opts.Workers/2, 1))
	for p, err := range pairs(ctx, c.a, c.b) {
		if err == nil && (p.off >= c.size || p.off > c.first.Load()) {
			break
		}
		workers.Go(func() error {
			if err != nil {
				return fmt.Errorf("read extents: %w", err)
			}
			if err := c.one(ctx, &p); err != nil {
				return err
			}
			c.progress.add(p.a.data())
			return nil
		})
	}
	return workers.Wait()
}

// one compares a window. Both sides share one buffer of the arena, taken at
// once, since nobody may wait for a second.
func (c *comparison) one(ctx context.Context, p *pair) error {
	buf, err := c.opts.Arena.Get(ctx, 2*WindowSize)
	if err != nil {
		return err
	}
	defer buf.Release()
	n := min(p.off+WindowSize, c.size) - p.off
	left, right := buf.Bytes()[:WindowSize], buf.Bytes()[WindowSize:]
	if err := readSide(c.a, &p.a, left); err != nil {
		return fmt.Errorf("read first image at %d: %w", p.off, err)
	}
	if err := readSide(c.b, &p.b, right); err != nil {
		return fmt.Errorf("read second image at %d: %w", p.off, err)
	}
	left, right = left[:n], right[:n]
	if !bytes.Equal(left, right) {
		c.differ(p.off + int64(mismatch(left, right)))
	}
	return nil
}

// readSide fills the window of one side; a side without data there is zeros.
func readSide(img Image, w *window, p []byte) error {
	if len(w.runs) == 0 {
		clear(p)
		return nil
	}
	clear(p[w.length:])
	return w.read(img, p[:w.length])
}

// differ notes an offset unless one before it is known.
func (c *comparison) differ(at int64) {
	for old := c.first.Load(); at < old; old = c.first.Load() {
		if c.first.CompareAndSwap(old, at) {
			return
		}
	}
}

// mismatch is the index of the first byte that differs; one does.
func mismatch(a, b []byte) int {
	const step = blockio.BlockSize
	at := 0
	for len(a)-at > step && bytes.Equal(a[at:at+step], b[at:at+step]) {
		at += step
	}
	for a[at] == b[at] {
		at++
	}
	return at
}

// pair is what two images hold of one window; a side without data there has no
// runs.
type pair struct {
	off  int64
	a, b window
}

// pairs yields the windows in which either image holds data, in order.
func pairs(ctx context.Context, a, b Image) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		nextA, stopA := iter.Pull2(windows(ctx, a))
		defer stopA()
		nextB, stopB := iter.Pull2(windows(ctx, b))
		defer stopB()
		wa, err, okA := nextA()
		if err != nil {
			yield(pair{}, err)
			return
		}
		wb, err, okB := nextB()
		for err == nil && (okA || okB) {
			var p pair
			takeA := okA && (!okB || wa.index <= wb.index)
			takeB := okB && (!okA || wb.index <= wa.index)
			if takeA {
				p.off, p.a = wa.off, wa
			}
			if takeB {
				p.off, p.b = wb.off, wb
			}
			if !yield(p, nil) {
				return
			}
			if takeA {
				wa, err, okA = nextA()
			}
			if takeB && err == nil {
				wb, err, okB = nextB()
			}
		}
		if err != nil {
			yield(pair{}, err)
		}
	}
}
