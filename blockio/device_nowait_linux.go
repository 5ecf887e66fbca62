package blockio

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ReadNoWait reads all of p from off if the page cache has it, and says
// whether it did; it never waits for the disk. After false p holds anything,
// and ReadAt has the answer.
func (d *Device) ReadNoWait(p []byte, off int64) bool {
	if len(p) == 0 || off < 0 || off > d.Size()-int64(len(p)) || d.enter() != nil {
		return false
	}
	defer d.open.RUnlock()
	return preadNoWait(d.buffered, p, off) == len(p)
}

// preadNoWait reads what the page cache has. It never blocks, so the scheduler
// need not be told of the call.
func preadNoWait(fd int, p []byte, off int64) int {
	vec := unix.Iovec{Base: unsafe.SliceData(p)}
	vec.SetLen(len(p))
	n, _, errno := unix.RawSyscall6(unix.SYS_PREADV2, uintptr(fd), uintptr(unsafe.Pointer(&vec)), 1,
		uintptr(off), 0, unix.RWF_NOWAIT)
	runtime.KeepAlive(p)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// Resident says whether the page cache has the whole range, or next to all of
// it, so that reading it takes no disk. Kernels before 6.5 cannot tell.
func (d *Device) Resident(off, n int64) bool {
	if d.enter() != nil {
		return false
	}
	defer d.open.RUnlock()
	return d.resident(off, n)
}

// SendTo moves up to n bytes at off to a socket without copying them, and says
// how many it moved, none at the end of the file. Errors are the kernel's own:
// unix.EAGAIN says that the socket, which does not block, is full. What is
// written to the range before the receiver has read it may be what arrives.
func (d *Device) SendTo(socket int, off, n int64) (int64, error) {
	if err := d.enter(); err != nil {
		return 0, d.fail("send", off, err)
	}
	defer d.open.RUnlock()
	for {
		sent, err := unix.Sendfile(socket, d.buffered, &off, int(min(n, maxTransfer)))
		if err != unix.EINTR {
			return int64(max(sent, 0)), err
		}
	}
}

// Prefetch starts to read a range into the page cache and does not wait.
func (d *Device) Prefetch(off, n int64) error {
	if err := d.enter(); err != nil {
		return d.fail("prefetch", off, err)
	}
	defer d.open.RUnlock()
	if err := unix.Fadvise(d.buffered, off, n, unix.FADV_WILLNEED); err != nil {
		return d.fail("prefetch", off, err)
	}
	return nil
}

// WriteNoWait writes whole pages inside the device into the page cache, if no other
// write is under way, and says whether it did; they are durable after Sync. It waits
// for the disk only when the kernel makes all wait who write, for want of memory.
// After false WriteAt does it, whatever was written.
func (d *Device) WriteNoWait(p []byte, off int64) (bool, error) {
	whole := off >= 0 && off%BlockSize == 0 && len(p)%BlockSize == 0 && off <= d.Size()-int64(len(p))
	if !whole || d.mode == DirectOn || d.mode == DirectAuto && len(p) >= minDirect || d.behind.Load() >= writeBehind {
		return false, nil
	}
	if err := d.enterWrite(); err != nil {
		return false, d.fail("write", off, err)
	}
	defer d.open.RUnlock()
	if d.direct >= 0 {
		if !d.edges.TryLock() {
			return false, nil
		}
		defer d.edges.Unlock()
	}
	n, err := pwrite(d.buffered, p, off)
	d.behind.Add(int64(n))
	if err == nil && n < len(p) {
		return false, nil
	}
	if err != nil {
		return false, d.fail("write", off, err)
	}
	return true, nil
}
