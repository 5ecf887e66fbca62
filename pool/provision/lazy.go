package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert/raw"
	"github.com/blockmill/blockmill/pool/lazy"
)

// mapSuffix is that of the map of a lazy disk, beside its raw file.
const mapSuffix = ".map"

// makeLazy makes an empty raw file and a map by which all of it is still the
// image's.
func (d *Directory) makeLazy(ctx context.Context, r Request, b *Backing, img *cas.Image) error {
	err := d.make(ctx, disksDir, string(b.ID)+mapSuffix, func(dev *blockio.Device) error {
		if err := dev.Truncate(lazy.MapSize(b.Size)); err != nil {
			return err
		}
		if err := lazy.Format(dev, b.Size, identity(r.Manifest), img.Size()); err != nil {
			return err
		}
		return dev.Sync()
	})
	if err != nil {
		return err
	}
	err = d.make(ctx, disksDir, fileName(b), func(dev *blockio.Device) error { return grow(dev, b.Size) })
	if err != nil && !died(err) {
		err = errors.Join(err, d.DropMap(*b))
	}
	return err
}

// identity is an image as the base of a lazy disk.
func identity(m cas.ManifestID) (id lazy.Identity) {
	copy(id[:], m[:])
	return id
}

// LazyDisk is a lazy disk with its files and its base.
type LazyDisk struct {
	*lazy.Disk
	data, table *blockio.Device
	base        *cas.Image
}

// OpenLazy opens a lazy disk. All who use it at a time share one.
func (d *Directory) OpenLazy(ctx context.Context, b Backing, pace func(context.Context, int) error) (*LazyDisk, error) {
	l, err := d.openLazy(ctx, b, pace)
	if err != nil {
		return nil, fmt.Errorf("open disk %s: %w", b.ID, err)
	}
	return l, nil
}

func (d *Directory) openLazy(ctx context.Context, b Backing, pace func(context.Context, int) error) (l *LazyDisk, err error) {
	m, ok := b.ID.Manifest()
	if !ok || b.Method != Lazy {
		return nil, ErrMethod
	}
	l = &LazyDisk{}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.closeFiles())
		}
	}()
	if l.base, err = d.opts.Store.OpenImage(ctx, m); err != nil {
		return l, err
	}
	if l.data, err = d.openDisk(b.ID, b.Format, blockio.DeviceOptions{Write: true}); err != nil {
		return l, err
	}
	opts := blockio.DeviceOptions{Write: true, NoFollow: true, Direct: blockio.DirectOff}
	if l.table, err = blockio.OpenDevice(d.path(disksDir, string(b.ID)+mapSuffix), opts); err != nil {
		return l, err
	}
	l.Disk, err = lazy.Open(lazy.Files{Data: l.data, Map: l.table}, l.base, identity(m), lazy.Options{
		Arena: d.opts.Arena, Pace: pace, Metrics: d.opts.Lazy,
	})
	return l, err
}

// Close makes what was written durable and closes the files.
func (l *LazyDisk) Close() error { return errors.Join(l.Sync(), l.closeFiles()) }

func (l *LazyDisk) closeFiles() error {
	var errs []error
	for _, dev := range []*blockio.Device{l.data, l.table} {
		if dev != nil {
			errs = append(errs, dev.Close())
		}
	}
	if l.base != nil {
		errs = append(errs, l.base.Close())
	}
	return errors.Join(errs...)
}

// Content is what the disk holds. It is not closed with that.
func (l *LazyDisk) Content() (*Content, error) {
	img, err := raw.Open(l.Disk, l.Size())
	if err != nil {
		return nil, err
	}
	return &Content{Image: img, lazy: l.Disk, size: l.Size()}, nil
}

// changedLazy are the runs that a lazy disk has for itself.
func (c *Content) changedLazy() (runs []Run) {
	for off, n := range c.lazy.Own() {
		runs = addRun(runs, off, off+n)
	}
	return runs
}

// DropMap removes the map of a lazy disk that needs its base no more: the raw
// file is the disk then.
func (d *Directory) DropMap(b Backing) error {
	err := d.step("remove map")
	if err == nil {
		err = removeFile(d.path(disksDir, string(b.ID)+mapSuffix))
	}
	if err == nil {
		err = d.sync(disksDir)
	}
	if err != nil {
		return fmt.Errorf("remove the map of %s: %w", b.ID, err)
	}
	return nil
}

// Pace returns when n bytes more of background work may be written.
func (d *Directory) Pace(ctx context.Context, n int) error { return d.rate.Wait(ctx, n) }
