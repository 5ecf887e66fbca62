package measure

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// coldEnough is the part of a file that may stay in the page cache after it
// has been dropped: a few pages wait in the kernel's per-CPU lists.
const coldEnough = 0.01

// Cool drops the files, and all files below the directories, from the page
// cache. What others hold there by force is dropped by dropping the whole
// cache, when the caller is root. It returns the bytes that stayed.
func Cool(ctx context.Context, paths ...string) (int64, error) {
	var size, left int64
	drop := func(f *os.File, n int64) error {
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return fmt.Errorf("sync %s: %w", f.Name(), err)
		}
		if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
			return fmt.Errorf("drop cache of %s: %w", f.Name(), err)
		}
		size += n
		left += resident(f)
		return nil
	}
	if err := eachFile(ctx, paths, drop); err != nil {
		return 0, err
	}
	if float64(left) <= coldEnough*float64(size) {
		return left, nil
	}
	if os.WriteFile("/proc/sys/vm/drop_caches", []byte("1"), 0) != nil {
		return left, nil
	}
	left = 0
	err := eachFile(ctx, paths, func(f *os.File, _ int64) error { left += resident(f); return nil })
	return left, err
}

// A virtual machine's host takes back the memory that much of the page cache
// leaves, and some seconds later processors for that.
const (
	muchDropped = 256 << 20
	hostTakes   = 10 * time.Second
)

// CoolAndRest is Cool, and waits then until a host has taken what was dropped: for
// what is measured by its delays.
func CoolAndRest(ctx context.Context, paths ...string) (int64, error) {
	var before int64
	if err := eachFile(ctx, paths, func(f *os.File, _ int64) error { before += resident(f); return nil }); err != nil {
		return 0, err
	}
	left, err := Cool(ctx, paths...)
	if err != nil || before-left < muchDropped {
		return left, err
	}
	select {
	case <-time.After(hostTakes):
		return left, nil
	case <-ctx.Done():
		return left, context.Cause(ctx)
	}
}

// Warm reads the files, and all files below the directories, into the page
// cache, unless they are there, and then once more: a virtual machine's host may
// give it the cache's memory only when that is read, and the program that comes
// first after a peer that drops its input from the cache would pay for it.
func Warm(ctx context.Context, paths ...string) error {
	buf := make([]byte, 1<<20)
	return eachFile(ctx, paths, func(f *os.File, n int64) error {
		if resident(f) >= n {
			return nil
		}
		for range 2 {
			if err := readAll(ctx, f, buf); err != nil {
				return fmt.Errorf("warm cache: %w", err)
			}
		}
		return nil
	})
}

func readAll(ctx context.Context, f *os.File, buf []byte) error {
	for at := int64(0); ctx.Err() == nil; {
		n, err := f.ReadAt(buf, at)
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		at += int64(n)
	}
	return ctx.Err()
}

// resident is how many bytes of a file the page cache holds; -1 where the
// kernel cannot tell (before 6.5).
func resident(f *os.File) int64 {
	var stat unix.Cachestat_t
	if err := unix.Cachestat(uint(f.Fd()), &unix.CachestatRange{}, &stat, 0); err != nil {
		return -1
	}
	return int64(stat.Cache) * int64(os.Getpagesize())
}

// eachFile opens every regular file among and below paths.
func eachFile(ctx context.Context, paths []string, do func(f *os.File, size int64) error) error {
	for _, path := range paths {
		err := filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			info, err := f.Stat()
			if err != nil {
				return err
			}
			return do(f, info.Size())
		})
		if err != nil {
			return err
		}
	}
	return nil
}
