package blockio

import (
	"io"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxTransfer is what Linux moves in one read or write at most, rounded down
// to keep the rest aligned.
const maxTransfer = 1 << 30

func pread(fd int, p []byte, off int64) (int, error) {
	for {
		n, err := unix.Pread(fd, p[:min(len(p), maxTransfer)], off)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

func pwrite(fd int, p []byte, off int64) (int, error) {
	for {
		n, err := unix.Pwrite(fd, p[:min(len(p), maxTransfer)], off)
		if err == nil && n == 0 && len(p) > 0 {
			return 0, io.ErrShortWrite
		}
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// retry repeats a call for as long as signals interrupt it.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func fdatasync(fd int) error {
	return retry(func() error { return unix.Fdatasync(fd) })
}

func blockDeviceSize(fd int) (int64, error) {
	var size uint64
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.BLKGETSIZE64, uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return 0, errno
	}
	return int64(size), nil
}

// addressOf is the address of a buffer that is not empty.
func addressOf(p []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(p))) }
