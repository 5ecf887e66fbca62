package blockio

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

const (
	// minDirect is the least length that is worth a direct transfer in
	// DirectAuto: below it the page cache, with its read-ahead, is better.
	minDirect = 64 << 10
	// residencyPiece is the piece of a read for which the page cache is asked
	// once.
	residencyPiece = 1 << 20
	// writeBehind is how much gathers in the page cache before its write-back
	// is started.
	writeBehind = 8 << 20
)

// middle finds the part of p, to be moved at off, that direct I/O can take:
// p[head:head+n], with offsets at multiples of unit. n is 0 without any.
func (d *Device) middle(p []byte, off int64, unit int) (head, n int) {
	u := int64(unit)
	start := (off + u - 1) / u * u
	end := (off + int64(len(p))) / u * u
	if start >= end {
		return 0, 0
	}
	head = int(start - off)
	if addressOf(p[head:])%uintptr(d.align.Memory) != 0 {
		return 0, 0
	}
	return head, int(end - start)
}

// read reads p from off, as io.ReaderAt says; errors are bare.
func (d *Device) read(p []byte, off int64) (int, error) {
	if !d.Direct() || d.mode == DirectAuto && len(p) < minDirect {
		return d.readCached(p, off)
	}
	head, n := d.middle(p, off, d.align.Offset)
	if n == 0 || d.mode == DirectAuto && n < minDirect {
		return d.readCached(p, off)
	}
	done, err := d.readCached(p[:head], off)
	for err == nil && done < head+n {
		piece := p[done : head+n]
		at := off + int64(done)
		cached := false
		if d.mode == DirectAuto {
			var run int
			run, cached = d.residentRun(at, len(piece))
			piece = piece[:run]
		}
		var m int
		if cached {
			m, err = d.readCached(piece, at)
		} else {
			m, err = d.readDirect(piece, at)
		}
		done += m
	}
	if err != nil {
		return done, err
	}
	m, err := d.readCached(p[done:], off+int64(done))
	return done + m, err
}

// readCached reads all of p through the page cache.
func (d *Device) readCached(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		d.slots <- struct{}{}
		n, err := pread(d.buffered, p[done:], off+int64(done))
		<-d.slots
		done += n
		if err != nil {
			return done, err
		}
		if n == 0 {
			return done, io.EOF
		}
	}
	return done, nil
}

// readDirect reads all of p, which is aligned, past the page cache. What
// direct I/O leaves, at the end of a file or where the kernel refuses after
// all, is read through the cache.
func (d *Device) readDirect(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) && done%d.align.Offset == 0 && d.Direct() {
		d.slots <- struct{}{}
		n, err := pread(d.direct, p[done:], off+int64(done))
		<-d.slots
		done += n
		if errors.Is(err, unix.EINVAL) && d.mode == DirectAuto {
			d.noDirect.Store(true)
			break
		}
		if err != nil {
			return done, err
		}
		if n == 0 {
			break
		}
	}
	n, err := d.readCached(p[done:], off+int64(done))
	return done + n, err
}

// residentRun says how long the run of pieces from off is that are alike, and
// whether the page cache has them. A piece counts as cached when next to no
// pages are missing, since each gap costs a small read of its own; and when
// pages are dirty, since a direct read would have to wait for their write-back.
func (d *Device) residentRun(off int64, n int) (run int, cached bool) {
	for run < n {
		piece := min(n-run, residencyPiece)
		in := d.resident(off+int64(run), int64(piece))
		if run > 0 && in != cached {
			break
		}
		cached = in
		run += piece
	}
	return run, cached
}

// resident says whether the page cache has the range. Kernels before 6.5
// cannot tell; then it is taken as cold.
func (d *Device) resident(off, n int64) bool {
	if d.noCachestat.Load() {
		return false
	}
	var st unix.Cachestat_t
	err := unix.Cachestat(uint(d.buffered), &unix.CachestatRange{Off: uint64(off), Len: uint64(n)}, &st, 0)
	if err != nil {
		d.noCachestat.Store(true)
		return false
	}
	pages := uint64((off+n+BlockSize-1)/BlockSize - off/BlockSize)
	return st.Cache+pages/64 >= pages || st.Dirty+st.Writeback > 0
}

// write writes all of p at off; errors are bare.
//
// In DirectAuto large aligned writes are direct. To have 1 GiB in a sparse file
// durable, 4 MiB at a time and 4 to 8 at once, took direct writes 0.40-0.56 s
// and 0.05-0.10 s of CPU on ext4, and writes through the cache with write-back
// started at once 0.47-0.62 s and 0.4-0.8 s of CPU, several times that when the
// cache had to find free memory first. BenchmarkDeviceWrite shows it.
func (d *Device) write(p []byte, off int64) (int, error) {
	if !d.Direct() || d.mode == DirectAuto && (len(p) < minDirect || off%BlockSize != 0) {
		return d.writeCached(p, off)
	}
	// Whole pages only: two callers may share the page at an edge, and file
	// systems let direct writes of parts of a block wait for one another.
	head, n := d.middle(p, off, max(d.align.Offset, BlockSize))
	done, err := d.writeCached(p[:head], off)
	if err != nil {
		return done, err
	}
	m, err := d.writeDirect(p[head:head+n], off+int64(head))
	done += m
	if err != nil {
		return done, err
	}
	m, err = d.writeCached(p[done:], off+int64(done))
	return done + m, err
}

// writeDirect writes all of p, which is aligned, past the page cache; what the
// kernel then leaves or refuses, through it.
func (d *Device) writeDirect(p []byte, off int64) (int, error) {
	d.edges.RLock()
	done := 0
	var err error
	for err == nil && done < len(p) && done%BlockSize == 0 {
		var n int
		n, err = d.pwrite(d.direct, p[done:], off+int64(done))
		done += n
	}
	d.edges.RUnlock()
	if errors.Is(err, unix.EINVAL) && d.mode == DirectAuto {
		d.noDirect.Store(true)
		err = nil
	}
	if err != nil {
		return done, err
	}
	n, err := d.writeCached(p[done:], off+int64(done))
	return done + n, err
}

// writeCached writes all of p through the page cache, and from time to time
// starts the write-back of what has gathered there, so that a later Sync finds
// little left to do.
func (d *Device) writeCached(p []byte, off int64) (int, error) {
	n, err := d.writeEdge(p, off)
	if err == nil && d.mode != DirectOff && d.behind.Add(int64(n)) >= writeBehind {
		d.behind.Store(0)
		err = d.startWriteBack()
	}
	return n, err
}

func (d *Device) writeEdge(p []byte, off int64) (int, error) {
	if d.direct >= 0 && len(p) > 0 {
		d.edges.Lock()
		defer d.edges.Unlock()
	}
	done := 0
	for done < len(p) {
		n, err := d.pwrite(d.buffered, p[done:], off+int64(done))
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// startWriteBack starts the write-back of the whole file and does not wait.
func (d *Device) startWriteBack() error {
	err := retry(func() error {
		return unix.SyncFileRange(d.buffered, 0, 0, unix.SYNC_FILE_RANGE_WRITE)
	})
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ESPIPE) {
		return nil // it was only to save time
	}
	return err
}

func (d *Device) pwrite(fd int, p []byte, off int64) (int, error) {
	d.slots <- struct{}{}
	n, err := pwrite(fd, p, off)
	<-d.slots
	return n, err
}

func (d *Device) truncate(size int64) error {
	if d.block {
		if size > d.Size() {
			return errTooSmall
		}
		return nil
	}
	if err := retry(func() error { return unix.Ftruncate(d.buffered, size) }); err != nil {
		return err
	}
	d.size.Store(size)
	return nil
}
