package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// SameFile returns a check that two files, given as templates, have the same
// length and bytes. What is a hole in both is not read.
func SameFile(got, want string) func(context.Context, *Env) error {
	return func(ctx context.Context, env *Env) error {
		a, err := os.Open(env.Path(got))
		if err != nil {
			return err
		}
		defer a.Close()
		b, err := os.Open(env.Path(want))
		if err != nil {
			return err
		}
		defer b.Close()
		return same(ctx, a, b)
	}
}

// SameGuest returns a check that an image is sound, and has the guest bytes
// of a raw file, in qemu-img's opinion.
func SameGuest(got, format, want string) func(context.Context, *Env) error {
	return func(ctx context.Context, env *Env) error {
		if format == "qcow2" {
			if err := env.Run(ctx, "qemu-img", "check", "-q", "-f", format, got); err != nil {
				return err
			}
		}
		return env.Run(ctx, "qemu-img", "compare", "-q", "-f", format, "-F", "raw", got, want)
	}
}

// compareBlock is how much is compared at once.
const compareBlock = 1 << 20

func same(ctx context.Context, a, b *os.File) error {
	sizes := [2]int64{}
	for i, f := range []*os.File{a, b} {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		sizes[i] = info.Size()
	}
	if sizes[0] != sizes[1] {
		return fmt.Errorf("length is %d, want %d", sizes[0], sizes[1])
	}
	p, q := make([]byte, compareBlock), make([]byte, compareBlock)
	for off := int64(0); off < sizes[0]; off += compareBlock {
		if err := ctx.Err(); err != nil {
			return err
		}
		next := min(nextData(a, off, sizes[0]), nextData(b, off, sizes[0]))
		if off = next / compareBlock * compareBlock; off >= sizes[0] {
			return nil
		}
		n := min(compareBlock, sizes[0]-off)
		for _, read := range []struct {
			f *os.File
			p []byte
		}{{a, p[:n]}, {b, q[:n]}} {
			if _, err := read.f.ReadAt(read.p, off); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
		}
		if !bytes.Equal(p[:n], q[:n]) {
			at := 0
			for p[at] == q[at] {
				at++
			}
			return fmt.Errorf("byte at %d is %#x, want %#x", off+int64(at), p[at], q[at])
		}
	}
	return nil
}

// nextData is where the first data at or after off begins, or size.
func nextData(f *os.File, off, size int64) int64 {
	next, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return size
	case err != nil: // the file system knows no holes
		return off
	default:
		return next
	}
}
