package lazy

import (
	"context"
	"fmt"

	"github.com/blockmill/blockmill/blockio"
)

// hydrateSync is after how many bytes hydration makes durable what it has
// brought over, so that a crash costs no more than that.
const hydrateSync = 256 << 20

// Hydrate brings over all that the disk still has in its base, beside reads and
// writes, and makes it durable. When it returns nil the data file is the whole
// disk. It may be stopped and begun again at any time; it goes on where it was.
func (d *Disk) Hydrate(ctx context.Context) error {
	unsynced := int64(0)
	for off := int64(0); off < d.header.size; off += regionSize {
		n, err := d.hydrateRegion(ctx, off)
		if unsynced += n; err == nil && unsynced >= hydrateSync {
			unsynced, err = 0, d.Sync()
		}
		if err != nil {
			return fmt.Errorf("hydrate lazy disk at %d: %w", off, err)
		}
	}
	return d.Sync()
}

// hydrateRegion brings over what a region lacks, and says how much that was.
func (d *Disk) hydrateRegion(ctx context.Context, off int64) (done int64, err error) {
	end := min(off+regionSize, d.header.size)
	if d.owns(off, end-off) {
		return 0, ctx.Err()
	}
	if d.opts.Pace != nil {
		if err := d.opts.Pace(ctx, int(end-off)); err != nil {
			return 0, err
		}
	}
	buf, err := d.opts.Arena.Get(ctx, int(end-off))
	if err != nil {
		return 0, err
	}
	defer buf.Release()
	defer d.lock(off)()
	for at := off; at < end; {
		n, own := d.run(at, end)
		if !own {
			if err := d.hydrateRun(ctx, buf.Bytes(), at, n); err != nil {
				return done, err
			}
			done += n
		}
		at += n
	}
	return done, nil
}

// hydrateRun brings over blocks that are not the disk's own, and makes them
// that. The caller holds the region's lock.
func (d *Disk) hydrateRun(ctx context.Context, p []byte, off, n int64) error {
	for e, err := range d.baseExtents(ctx, off, n) {
		if err != nil {
			return err
		}
		if e.State != blockio.Data {
			err = d.zeroFile(e.Offset, e.Length, false)
		} else {
			err = d.copyUp(p[:e.Length], e.Offset)
		}
		if err != nil {
			return err
		}
	}
	d.bits.add(off/d.header.block, (off+n+d.header.block-1)/d.header.block)
	return nil
}

func (d *Disk) copyUp(p []byte, off int64) error {
	if err := readFull(d.base, p, off); err != nil {
		return err
	}
	d.hydrated.Add(int64(len(p)))
	d.opts.Metrics.hydrated(int64(len(p)))
	_, err := d.files.Data.WriteAt(p, off)
	return err
}
