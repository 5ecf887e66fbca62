package blockio

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/sys/unix"
)

// Extents tells the holes and the data of a file; a block device is all data.
// Host is the offset itself. A file that changes meanwhile gives some picture
// of the time, still without gaps.
func (d *Device) Extents(ctx context.Context, off, length int64) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		for end := off + length; off < end; {
			e, err := d.extentAt(ctx, off, end)
			if err != nil {
				yield(Extent{}, fmt.Errorf("map %s at %d: %w", d.name, off, err))
				return
			}
			if !yield(e, nil) {
				return
			}
			off = e.End()
		}
	}
}

// extentAt is the extent that begins at off, cut at end.
func (d *Device) extentAt(ctx context.Context, off, end int64) (Extent, error) {
	if err := ctx.Err(); err != nil {
		return Extent{}, context.Cause(ctx)
	}
	if err := d.enter(); err != nil {
		return Extent{}, err
	}
	defer d.open.RUnlock()
	e := Extent{Offset: off, Length: end - off, Host: off, State: Data}
	if d.block {
		return e, nil
	}
	data, err := unix.Seek(d.buffered, off, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO): // no data from here on
		e.State = Hole
		return e, nil
	case errors.Is(err, unix.EINVAL): // a file system that keeps no map
		return e, nil
	case err != nil:
		return Extent{}, err
	case data > off:
		e.State, e.Length = Hole, min(data, end)-off
		return e, nil
	}
	hole, err := unix.Seek(d.buffered, off, unix.SEEK_HOLE)
	if err != nil && !errors.Is(err, unix.ENXIO) {
		return Extent{}, err
	}
	if err == nil && hole > off {
		e.Length = min(hole, end) - off
	}
	return e, nil
}

// Allocate reserves disk space for a range, growing the file to its end;
// errors.ErrUnsupported where the file system cannot.
func (d *Device) Allocate(off, n int64) error {
	return d.fallocate("allocate", 0, off, n)
}

// PunchHole gives the space of a range back; it then reads as zeros. Whole
// blocks are freed, parts of blocks are zeroed. errors.ErrUnsupported where
// the file system or device cannot, as a block device with parts of its sectors.
func (d *Device) PunchHole(off, n int64) error {
	return d.fallocate("punch hole in", unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
}

// ZeroRange makes a range read as zeros and keeps its space, growing the file
// to its end; errors.ErrUnsupported as with PunchHole.
func (d *Device) ZeroRange(off, n int64) error {
	mode := uint32(unix.FALLOC_FL_ZERO_RANGE)
	if d.block {
		mode |= unix.FALLOC_FL_KEEP_SIZE
	}
	return d.fallocate("zero", mode, off, n)
}

func (d *Device) fallocate(act string, mode uint32, off, n int64) error {
	err := d.enterWrite()
	if err == nil {
		defer d.open.RUnlock()
		d.edges.Lock()
		err = retry(func() error { return unix.Fallocate(d.buffered, mode, off, n) })
		d.edges.Unlock()
	}
	if d.block && errors.Is(err, unix.EINVAL) {
		// Not of whole sectors, which a device punches and zeroes only.
		err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	if err != nil {
		return fmt.Errorf("%s %s at %d: %w", act, d.name, off, err)
	}
	if mode&unix.FALLOC_FL_KEEP_SIZE == 0 {
		d.grow(off + n)
	}
	return nil
}

// CloneFrom makes this file share the blocks of src (a reflink), in the place of
// what it held there, and grow to its length; errors.ErrUnsupported where the file
// system cannot, or the two are not on one.
func (d *Device) CloneFrom(src *Device) error {
	if err := d.cloneFrom(src); err != nil {
		return fmt.Errorf("clone %s to %s: %w", src.name, d.name, err)
	}
	return nil
}

func (d *Device) cloneFrom(src *Device) error {
	if src == d {
		return nil
	}
	if err := d.enterWrite(); err != nil {
		return err
	}
	defer d.open.RUnlock()
	if err := src.enter(); err != nil {
		return err
	}
	defer src.open.RUnlock()
	err := retry(func() error { return unix.IoctlFileClone(d.buffered, src.buffered) })
	switch {
	case err == nil:
		d.grow(src.Size())
		return nil
	case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOTTY):
		return fmt.Errorf("%w (%w)", errors.ErrUnsupported, err)
	}
	return err
}
