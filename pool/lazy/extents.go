package lazy

import (
	"context"
	"fmt"
	"iter"

	"github.com/blockmill/blockmill/blockio"
)

// Extents tells what is known of a range without reading it, as
// blockio.Mapper says.
func (d *Disk) Extents(ctx context.Context, off, length int64) iter.Seq2[blockio.Extent, error] {
	return func(yield func(blockio.Extent, error) bool) {
		if err := d.check(off, length); err != nil {
			yield(blockio.Extent{}, fmt.Errorf("map lazy disk: %w", err))
			return
		}
		for end := off + length; off < end; {
			n, own := d.run(off, end)
			parts := d.baseExtents(ctx, off, n)
			if own {
				parts = d.ownExtents(ctx, off, n)
			}
			for e, err := range parts {
				e.Host = blockio.NoHost
				if !yield(e, err) || err != nil {
					return
				}
			}
			off += n
		}
	}
}

// ownExtents are those of the data file, as far as that can tell.
func (d *Disk) ownExtents(ctx context.Context, off, n int64) iter.Seq2[blockio.Extent, error] {
	if m, ok := d.files.Data.(blockio.Mapper); ok {
		return m.Extents(ctx, off, n)
	}
	return func(yield func(blockio.Extent, error) bool) {
		yield(blockio.Extent{Offset: off, Length: n, State: blockio.Data}, nil)
	}
}

// baseExtents are those of the base, and a hole beyond its end.
func (d *Disk) baseExtents(ctx context.Context, off, n int64) iter.Seq2[blockio.Extent, error] {
	return func(yield func(blockio.Extent, error) bool) {
		inside := max(0, min(n, d.header.baseSize-off))
		if inside > 0 {
			for e, err := range d.base.Extents(ctx, off, inside) {
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
		if inside < n {
			yield(blockio.Extent{Offset: off + inside, Length: n - inside, State: blockio.Hole}, nil)
		}
	}
}

// Own yields, in order, the runs that the disk has for itself, by offset and
// length.
func (d *Disk) Own() iter.Seq2[int64, int64] {
	return func(yield func(int64, int64) bool) {
		for off := int64(0); off < d.header.size; {
			n, own := d.run(off, d.header.size)
			if own && !yield(off, n) {
				return
			}
			off += n
		}
	}
}
