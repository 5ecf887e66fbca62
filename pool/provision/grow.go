package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert"
)

// Grow gives a disk a larger size, durably. No program may have it open for
// writing. What was grown reads as zeros. Growing again to a size that it has is
// no error, so that one that was cut short can be done again. A lazy disk has
// bounds: ErrMethod. After ErrFileSize the disk is as it was.
func (d *Directory) Grow(ctx context.Context, b Backing, size int64) error {
	if err := d.grow(ctx, b, size); err != nil {
		return fmt.Errorf("grow %s to %d: %w", b.ID, size, sized(size, err))
	}
	return nil
}

func (d *Directory) grow(ctx context.Context, b Backing, size int64) (err error) {
	switch {
	case size < b.Size:
		return ErrShrink
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	dev, err := d.openDisk(b.ID, b.Format, blockio.DeviceOptions{Write: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	if err := checkUnused(dev.Name()); err != nil {
		return err
	}
	if err := d.step("grow"); err != nil {
		return err
	}
	if b.Format == convert.QCOW2 {
		return growOverlay(dev, size)
	}
	switch {
	case b.Method == Lazy:
		return d.growLazy(dev, b, size)
	case size < dev.Size():
		return ErrShrink
	}
	return grow(dev, size)
}

// openDisk opens the file of a disk, whose format the caller knows.
func (d *Directory) openDisk(id BackingID, f convert.Format, opts blockio.DeviceOptions) (*blockio.Device, error) {
	opts.NoFollow = true
	dev, err := blockio.OpenDevice(d.Path(id, f), opts)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", ErrMissing, err)
	}
	return dev, err
}
