package blockio

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Place is a run of a file's bytes and where the file system keeps them. Two
// files that have a run at one physical address share it.
type Place struct {
	Offset, Length int64
	// Physical is the address in bytes in the file system's address space.
	Physical int64
	// Certain says that the address is that of the very bytes, as they are:
	// on disk already, neither packed with others nor encoded, and written.
	Certain bool
}

// End is the offset of the first byte after the run.
func (p Place) End() int64 { return p.Offset + p.Length }

// The kernel's struct fiemap and struct fiemap_extent (linux/fiemap.h).
type fiemapHead struct {
	start, length uint64
	flags, mapped uint32
	count, _      uint32
}

type fiemapExtent struct {
	logical, physical, length uint64
	_                         [2]uint64
	flags                     uint32
	_                         [3]uint32
}

const (
	fiemapSync = 1 // write back first
	fiemapLast = 1 // the file's last extent
	// fiemapUncertain are: unknown, delayed, encoded, encrypted, not aligned,
	// inline, tail, unwritten.
	fiemapUncertain = 0x2 | 0x4 | 0x8 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
	fiemapBatch     = 256

	fsIocFiemap = 0xc020660b
)

var (
	_ [32]byte = [unsafe.Sizeof(fiemapHead{})]byte{}
	_ [56]byte = [unsafe.Sizeof(fiemapExtent{})]byte{}
)

// Places tells where the file system keeps the bytes of a range, in order; what
// is left out is a hole. What is dirty is written back first. Runs are whole
// extents, which may reach beyond the range. errors.ErrUnsupported where the
// file system does not tell.
func (d *Device) Places(ctx context.Context, off, length int64) iter.Seq2[Place, error] {
	return func(yield func(Place, error) bool) {
		for end := off + length; off < end; {
			batch, last, err := d.placesAt(ctx, off, end-off)
			if err != nil {
				yield(Place{}, fmt.Errorf("map %s at %d: %w", d.name, off, err))
				return
			}
			for _, p := range batch {
				if !yield(p, nil) {
					return
				}
				off = max(off, p.End())
			}
			if last || len(batch) == 0 {
				return
			}
		}
	}
}

// placesAt asks for the first runs of a range; last says that there are no more.
func (d *Device) placesAt(ctx context.Context, off, length int64) (batch []Place, last bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, context.Cause(ctx)
	}
	if err := d.enter(); err != nil {
		return nil, false, err
	}
	defer d.open.RUnlock()
	var m struct {
		head    fiemapHead
		extents [fiemapBatch]fiemapExtent
	}
	m.head = fiemapHead{start: uint64(off), length: uint64(length), flags: fiemapSync, count: fiemapBatch}
	err = retry(func() error {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(d.buffered), fsIocFiemap, uintptr(unsafe.Pointer(&m)))
		if errno != 0 {
			return errno
		}
		return nil
	})
	runtime.KeepAlive(&m)
	switch {
	case errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EBADR):
		return nil, false, fmt.Errorf("%w (%w)", errors.ErrUnsupported, err)
	case err != nil:
		return nil, false, err
	}
	for _, e := range m.extents[:m.head.mapped] {
		batch = append(batch, Place{
			Offset: int64(e.logical), Length: int64(e.length), Physical: int64(e.physical),
			Certain: e.flags&fiemapUncertain == 0,
		})
		last = last || e.flags&fiemapLast != 0
	}
	return batch, last, nil
}
