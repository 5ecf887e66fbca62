package blockio

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// minDirect is the least length that is worth a direct transfer in DirectAuto:
// below it the page cache, with its read-ahead, is better.
const minDirect = 64 << 10

// residencyPiece is the piece of a read for which the page cache is asked once.
const residencyPiece = 1 << 20

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
