package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/convert/qcow2"
	"github.com/blockmill/blockmill/convert/raw"
	"github.com/blockmill/blockmill/pool/lazy"
)

// Content is what a disk holds, open for reading, as its guest sees it. Nothing
// may write to the disk meanwhile. What the extents call a hole may be the
// base's; ReadAt knows.
type Content struct {
	convert.Image
	dev, base *blockio.Device // base is nil for what needs none
	lazy      *lazy.Disk      // of a lazy disk, which is somebody else's to close
	size      int64
}

// Open opens the files of a disk for reading. A lazy disk has OpenLazy.
func (d *Directory) Open(ctx context.Context, b Backing) (*Content, error) {
	c, err := d.openContent(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("open disk %s: %w", b.ID, err)
	}
	return c, nil
}

func (d *Directory) openContent(ctx context.Context, b Backing) (c *Content, err error) {
	if b.Method == Lazy {
		return nil, ErrMethod
	}
	dev, err := d.openDisk(b.ID, b.Format, blockio.DeviceOptions{})
	if err != nil {
		return nil, err
	}
	c = &Content{dev: dev, size: b.Size}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if m, ok := b.ID.Manifest(); ok && (b.Format == convert.QCOW2 || b.Method == Reflink && d.abilities.Map) {
		name := (&base{manifest: m}).name()
		base, baseErr := blockio.OpenDevice(d.path(basesDir, name), blockio.DeviceOptions{NoFollow: true})
		if baseErr == nil {
			c.base = base
		} else if b.Format == convert.QCOW2 {
			return nil, fmt.Errorf("%w: golden base: %w", ErrMissing, baseErr)
		}
	}
	if b.Format == convert.QCOW2 {
		c.Image, err = qcow2.Open(dev, dev.Size(), qcow2.Options{Overlay: true, MaxSize: MaxSize})
	} else {
		c.Image, err = raw.Open(dev, dev.Size())
	}
	return c, err
}

// Size is the disk's.
func (c *Content) Size() int64 { return c.size }

// ReadAt reads guest bytes.
func (c *Content) ReadAt(p []byte, off int64) (int, error) {
	if _, overlay := c.Image.(*qcow2.Image); !overlay || c.base == nil {
		return c.Image.ReadAt(p, off)
	}
	n, end := c.Image.ReadAt(p, off)
	if end != nil && !errors.Is(end, io.EOF) {
		return n, end
	}
	for e, err := range c.Image.Extents(context.Background(), off, int64(n)) {
		if err != nil {
			return 0, err
		}
		if e.State == blockio.Hole {
			if err := c.readBase(p[e.Offset-off:e.End()-off], e.Offset); err != nil {
				return 0, err
			}
		}
	}
	return n, end
}

// readBase reads from the base, beyond which there are zeros.
func (c *Content) readBase(p []byte, off int64) error {
	n := max(0, min(int64(len(p)), c.base.Size()-off))
	clear(p[n:])
	if n == 0 {
		return nil
	}
	m, err := c.base.ReadAt(p[:n], off)
	if m == int(n) {
		return nil
	}
	return err
}

// Extents tells which runs the disk has for itself: for an overlay the rest is
// the base's.
func (c *Content) Extents(ctx context.Context, off, length int64) iter.Seq2[blockio.Extent, error] {
	return c.Image.Extents(ctx, off, length)
}

// Close closes the files.
func (c *Content) Close() error {
	var errs []error
	for _, dev := range []*blockio.Device{c.base, c.dev} {
		if dev != nil {
			errs = append(errs, dev.Close())
		}
	}
	return errors.Join(errs...)
}

// Present is ErrMissing when the disk's file is not there.
func (d *Directory) Present(b Backing) error {
	if _, err := os.Lstat(d.Path(b.ID, b.Format)); err != nil {
		return fmt.Errorf("%w: %w", ErrMissing, err)
	}
	return nil
}

// OpenRaw opens a raw disk for reading and writing, through the page cache where
// that is quicker.
func (d *Directory) OpenRaw(b Backing) (*blockio.Device, error) {
	if b.Format != convert.Raw || b.Method == Lazy {
		return nil, fmt.Errorf("open disk %s: %w", b.ID, ErrMethod)
	}
	return d.openDisk(b.ID, b.Format, blockio.DeviceOptions{Write: true})
}
