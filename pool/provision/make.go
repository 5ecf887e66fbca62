package provision

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
)

// Request says what disk to make.
type Request struct {
	// Manifest is the image; the zero one is for blank disks.
	Manifest cas.ManifestID
	// Size is the disk's, in bytes; 0 is the image's.
	Size   int64
	Method Method
	// Background makes it give way: it writes at the directory's FillRate.
	Background bool
}

// Make makes the files of a disk; they are durable when it returns. After an
// error nothing is left.
func (d *Directory) Make(ctx context.Context, r Request) (Backing, error) {
	return d.makeBy(ctx, r, nil)
}

// MakeOwned is Make of files that count only when a disk's record names them, and
// are never found as ready: a clone takes fewer durable steps then, and is durable
// only when finish has returned without an error. After an error of it nothing is
// left. Finish is given the disk's record: when it says that the files carry that,
// the record is durable with them, and Recover finds it until Uncarry.
func (d *Directory) MakeOwned(ctx context.Context, r Request) (_ Backing, finish Finish, _ error) {
	var o owned
	b, err := d.makeBy(ctx, r, &o)
	return b, o.finish, err
}

// Finish makes the files of a disk durable. A second call does nothing.
type Finish = func(record []byte) (carries bool, err error)

// Uncarry takes the record from files that carry it: the store has it.
func (d *Directory) Uncarry(b Backing) error { return uncarry(d.path(disksDir, fileName(&b))) }

func (d *Directory) makeBy(ctx context.Context, r Request, o *owned) (Backing, error) {
	b, err := d.make1(ctx, r, o)
	if err != nil {
		return Backing{}, fmt.Errorf("make a disk by %s: %w", r.Method, sized(b.Size, err))
	}
	return b, nil
}

func (d *Directory) make1(ctx context.Context, r Request, o *owned) (Backing, error) {
	if !d.Can(r.Method) {
		return Backing{}, ErrMethod
	}
	b := Backing{ID: newBackingID(r.Manifest), Dir: d.opts.Path, Method: r.Method, Format: convert.Raw, Size: r.Size}
	err := ErrMethod
	switch r.Method {
	case Blank:
		err = d.makeBlank(ctx, &b)
	case Reflink:
		err = d.makeReflink(ctx, r, &b, o)
	case Overlay:
		err = d.makeOverlay(ctx, r, &b)
	case Copy, ReadyMade, Lazy:
		err = d.makeOf(ctx, r, &b)
	}
	return b, err
}

func fileName(b *Backing) string { return string(b.ID) + "." + string(b.Format) }

func (d *Directory) makeBlank(ctx context.Context, b *Backing) error {
	if b.Size <= 0 {
		return fmt.Errorf("size %d: %w", b.Size, ErrShrink)
	}
	if err := d.room(0); err != nil {
		return err
	}
	return d.make(ctx, disksDir, fileName(b), func(dev *blockio.Device) error {
		if err := dev.Truncate(b.Size); err != nil {
			return err
		}
		return dev.Sync()
	})
}

func (d *Directory) makeReflink(ctx context.Context, r Request, b *Backing, o *owned) (err error) {
	golden, err := d.useBase(ctx, r.Manifest, r.Background)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.leaveBase(golden)) }()
	src, err := blockio.OpenDevice(d.path(basesDir, golden.name()), blockio.DeviceOptions{Direct: blockio.DirectOff, NoFollow: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if err := d.fit(b, src.Size()); err != nil {
		return err
	}
	b.Held = metadataNeed / 16
	clone := func(dev *blockio.Device) error {
		if err := d.step("clone"); err != nil {
			return err
		}
		return dev.CloneFrom(src)
	}
	if o != nil {
		return d.makeOwned(ctx, b, o, clone)
	}
	return d.make(ctx, disksDir, fileName(b), func(dev *blockio.Device) error {
		if err := clone(dev); err != nil {
			return err
		}
		return fresh(dev, b.Size)
	})
}

// makeOf makes a disk straight from its image, with no golden base between them.
func (d *Directory) makeOf(ctx context.Context, r Request, b *Backing) (err error) {
	img, err := d.opts.Store.OpenImage(ctx, r.Manifest)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	if err := d.fit(b, img.Size()); err != nil {
		return err
	}
	b.Held = img.DataBytes()
	if r.Method == Lazy {
		return d.makeLazy(ctx, r, b, img)
	}
	return d.makeCopy(ctx, r, b, img)
}

func (d *Directory) makeCopy(ctx context.Context, r Request, b *Backing, img *cas.Image) error {
	if err := d.makeRoom(img.DataBytes()); err != nil {
		return err
	}
	return d.make(ctx, disksDir, fileName(b), func(dev *blockio.Device) error {
		if err := dev.Truncate(b.Size); err != nil { // before all is copied in vain
			return err
		}
		if err := d.copyImage(ctx, dev, img, false, r.Background); err != nil {
			return err
		}
		return fresh(dev, b.Size)
	})
}

// fit gives the disk the image's size, unless it has a larger one.
func (d *Directory) fit(b *Backing, image int64) error {
	if b.Size == 0 {
		b.Size = image
	}
	if b.Size < image {
		return fmt.Errorf("size %d of an image of %d: %w", b.Size, image, ErrShrink)
	}
	return d.room(0)
}

// fresh gives a new file its length and the time of change of ready disks, and
// syncs it.
func fresh(dev *blockio.Device, size int64) error {
	if size > dev.Size() {
		if err := dev.Truncate(size); err != nil {
			return err
		}
	}
	if err := os.Chtimes(dev.Name(), time.Time{}, freshTime); err != nil {
		return err
	}
	return dev.Sync()
}

// freshTime is the time of change of what was not written since it was made.
var freshTime = time.Unix(0x626d, 0)

// grow gives a file its length and syncs it.
func grow(dev *blockio.Device, size int64) error {
	if size > dev.Size() {
		if err := dev.Truncate(size); err != nil {
			return err
		}
	}
	return dev.Sync()
}
