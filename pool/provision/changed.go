package provision

import (
	"context"
	"errors"
	"iter"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/qcow2"
)

// Run is a run of guest bytes.
type Run struct{ Offset, Length int64 }

// Changed yields, in order, the runs of the disk that may differ from the image
// that it was made from; the rest is the image's, and zeros beyond its end. It
// is false when that cannot be told without reading: without a golden base, or
// where the file system does not say where bytes are.
//
// A run of a raw disk is the image's when the file system keeps it at the very
// address of the same run of the golden base: the two still share it. A run of
// an overlay is, when the overlay has none of it.
func (c *Content) Changed(ctx context.Context) (runs []Run, known bool, err error) {
	if c.lazy != nil {
		return c.changedLazy(), true, nil
	}
	if c.base == nil {
		return nil, false, nil
	}
	if _, overlay := c.Image.(*qcow2.Image); overlay {
		runs, err = c.changedOverlay(ctx)
		return runs, err == nil, err
	}
	runs, err = c.changedRaw(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, false, nil
	}
	return runs, err == nil, err
}

func (c *Content) changedOverlay(ctx context.Context) (runs []Run, err error) {
	for e, err := range c.Image.Extents(ctx, 0, c.size) {
		if err != nil {
			return nil, err
		}
		if e.State != blockio.Hole {
			runs = addRun(runs, e.Offset, e.End())
		}
	}
	return runs, nil
}

// changedRaw walks the places of both files side by side. What is a hole in the
// disk within the base was punched, so it has changed.
func (c *Content) changedRaw(ctx context.Context) (runs []Run, err error) {
	shared := min(c.size, c.base.Size())
	next, stop := iter.Pull2(c.base.Places(ctx, 0, shared))
	defer stop()
	golden, baseErr, more := next()
	at := int64(0) // all below is accounted for
	for p, err := range c.dev.Places(ctx, 0, c.size) {
		if err != nil {
			return nil, err
		}
		if at < min(p.Offset, shared) {
			runs = addRun(runs, at, min(p.Offset, shared))
		}
		off, end := max(p.Offset, at), min(p.End(), c.size)
		for off < end {
			for more && baseErr == nil && golden.End() <= off {
				golden, baseErr, more = next()
			}
			if baseErr != nil {
				return nil, baseErr
			}
			stop := end
			if more && golden.Offset > off {
				stop = min(stop, golden.Offset)
			} else if more {
				stop = min(stop, golden.End())
			}
			same := more && golden.Offset <= off && p.Certain && golden.Certain &&
				p.Physical+off-p.Offset == golden.Physical+off-golden.Offset
			if !same {
				runs = addRun(runs, off, stop)
			}
			off = stop
		}
		at = max(at, end)
	}
	if at < shared {
		runs = addRun(runs, at, shared)
	}
	return runs, nil
}

// addRun adds [off, end), joined with the last run when they touch.
func addRun(runs []Run, off, end int64) []Run {
	if off >= end {
		return runs
	}
	if n := len(runs); n > 0 && runs[n-1].Offset+runs[n-1].Length == off {
		runs[n-1].Length += end - off
		return runs
	}
	return append(runs, Run{off, end - off})
}
