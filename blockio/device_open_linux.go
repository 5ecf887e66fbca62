package blockio

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

func openDevice(path string, opts DeviceOptions) (*Device, error) {
	// Opening some things acts on them (a tape rewinds, a watchdog starts):
	// look first, open then, and look again at what was opened.
	var before unix.Stat_t
	lookErr := lookAt(path, opts.NoFollow, &before)
	create := opts.Create && errors.Is(lookErr, unix.ENOENT)
	if lookErr != nil && !create {
		return nil, lookErr
	}
	if !create {
		if err := checkKind(&before); err != nil {
			return nil, err
		}
	}
	d := &Device{
		name: path, writable: opts.Write, mode: opts.Direct, direct: -1,
		align: Alignment{Memory: 1, Offset: 1},
		slots: make(chan struct{}, opts.Parallel),
		flush: fdatasync,
	}
	var err error
	if d.buffered, err = openFile(path, openFlags(opts, before.Mode), uint32(opts.Perm.Perm())); err != nil {
		return nil, err
	}
	if err := d.prepare(path, opts); err != nil {
		_ = d.closeFiles()
		return nil, err
	}
	return d, nil
}

// openFlags are the flags for what was seen at the path, mode 0 for nothing.
func openFlags(opts DeviceOptions, mode uint32) int {
	flags := unix.O_RDONLY
	if opts.Write {
		flags = unix.O_RDWR
	}
	if opts.NoFollow {
		flags |= unix.O_NOFOLLOW
	}
	if opts.Create {
		flags |= unix.O_CREAT
	}
	if opts.Exclusive && (opts.Create || mode&unix.S_IFMT == unix.S_IFBLK) {
		flags |= unix.O_EXCL
	}
	if mode&unix.S_IFMT == unix.S_IFBLK {
		flags &^= unix.O_CREAT // with O_EXCL it would demand that the node be new
	}
	return flags
}

// openFile opens without waiting for a fifo's other end or a lease.
func openFile(path string, flags int, perm uint32) (int, error) {
	flags |= unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_NONBLOCK | unix.O_LARGEFILE
	for {
		fd, err := unix.Open(path, flags, perm)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

func lookAt(path string, noFollow bool, st *unix.Stat_t) error {
	if noFollow {
		return unix.Lstat(path, st)
	}
	return unix.Stat(path, st)
}

func checkKind(st *unix.Stat_t) error {
	kind := "of an unknown kind"
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFBLK:
		return nil
	case unix.S_IFDIR:
		kind = "a directory"
	case unix.S_IFIFO:
		kind = "a fifo"
	case unix.S_IFSOCK:
		kind = "a socket"
	case unix.S_IFCHR:
		kind = "a character device"
	case unix.S_IFLNK:
		kind = "a symbolic link"
	}
	return fmt.Errorf("is %s: %w", kind, ErrNotDevice)
}

// prepare learns what was opened and opens the direct side.
func (d *Device) prepare(path string, opts DeviceOptions) error {
	var st unix.Stat_t
	if err := unix.Fstat(d.buffered, &st); err != nil {
		return err
	}
	if err := checkKind(&st); err != nil {
		return err
	}
	d.block = st.Mode&unix.S_IFMT == unix.S_IFBLK
	if opts.Truncate && opts.Write && !d.block {
		if err := unix.Ftruncate(d.buffered, 0); err != nil {
			return fmt.Errorf("truncate: %w", err)
		}
		st.Size = 0
	}
	if d.block {
		size, err := blockDeviceSize(d.buffered)
		if err != nil {
			return fmt.Errorf("ask for the size: %w", err)
		}
		st.Size = size
	}
	d.size.Store(st.Size)
	if opts.Direct == DirectOff {
		return nil
	}
	err := d.openDirect(path, &st)
	if err != nil && opts.Direct == DirectOn {
		return fmt.Errorf("direct I/O: %w", err)
	}
	return nil
}

// openDirect opens the same file again with O_DIRECT and asks how to use it.
// Without success the device has no direct side.
func (d *Device) openDirect(path string, st *unix.Stat_t) error {
	flags := unix.O_RDONLY | unix.O_DIRECT
	if d.writable {
		flags = unix.O_RDWR | unix.O_DIRECT
	}
	fd, err := openFile(path, flags, 0)
	if err != nil {
		return err
	}
	var now unix.Stat_t
	if err = unix.Fstat(fd, &now); err == nil && (now.Dev != st.Dev || now.Ino != st.Ino) {
		err = errors.New("the path was replaced while it was opened")
	}
	var align Alignment
	if err == nil {
		align, err = directAlignment(fd)
	}
	if err != nil {
		_ = unix.Close(fd)
		return err
	}
	d.direct, d.align = fd, align
	return nil
}

// directAlignment asks the kernel, by statx where it answers (Linux 6.1), else
// by the sector size of a block device, else by trying.
func directAlignment(fd int) (Alignment, error) {
	var sx unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_DIOALIGN, &sx)
	if err == nil && sx.Mask&unix.STATX_DIOALIGN != 0 {
		if sx.Dio_offset_align == 0 {
			return Alignment{}, fmt.Errorf("this file: %w", errors.ErrUnsupported)
		}
		return Alignment{Memory: int(sx.Dio_mem_align), Offset: int(sx.Dio_offset_align)}, nil
	}
	if sector, err := unix.IoctlGetInt(fd, unix.BLKSSZGET); err == nil && sector > 0 {
		return Alignment{Memory: sector, Offset: sector}, nil
	}
	mem, err := mapMemory(BlockSize)
	if err != nil {
		return Alignment{}, err
	}
	defer unmapAll([][]byte{mem})
	for _, n := range []int{512, BlockSize} {
		if _, err = pread(fd, mem[:n], 0); err == nil {
			return Alignment{Memory: n, Offset: n}, nil
		}
	}
	return Alignment{}, err
}

func (d *Device) closeFiles() error {
	err := unix.Close(d.buffered)
	if d.direct >= 0 {
		err = errors.Join(err, unix.Close(d.direct))
	}
	return err
}
