package blockio

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
)

// DirectMode says when a Device goes past the page cache.
type DirectMode uint8

const (
	// DirectAuto takes the faster way. Large reads are direct, unless the
	// page cache has the range already, and so are large aligned writes.
	DirectAuto DirectMode = iota
	// DirectOn makes all aligned reads and writes direct. Opening fails
	// where the file system refuses.
	DirectOn
	// DirectOff goes through the page cache always.
	DirectOff
)

// DeviceOptions say how to open a Device; the zero value opens for reading.
type DeviceOptions struct {
	Direct DirectMode
	// Write opens for writing too.
	Write bool
	// Create makes the file when there is none.
	Create bool
	// Exclusive, with Create, demands that there be no file yet; of a block
	// device it demands that nothing else, a mount for one, has claimed it.
	Exclusive bool
	// Truncate empties the file; a block device stays as it is.
	Truncate bool
	// NoFollow refuses a symbolic link as the last element of the path.
	NoFollow bool
	// Parallel bounds the reads and writes under way in the kernel; 0 is 32.
	Parallel int
	// Perm is the mode of a created file, before umask; 0 is 0644.
	Perm fs.FileMode
}

func (o DeviceOptions) withDefaults() DeviceOptions {
	if o.Parallel <= 0 {
		o.Parallel = 32
	}
	if o.Perm == 0 {
		o.Perm = 0o644
	}
	return o
}

// Alignment is what direct I/O asks of the address of a buffer and of offsets
// and lengths, in bytes; 1 and 1 where there is no direct I/O.
type Alignment struct{ Memory, Offset int }

// Errors of devices; test with errors.Is.
var (
	// ErrNotDevice says that a path is neither a regular file nor a block
	// device.
	ErrNotDevice = errors.New("neither a regular file nor a block device")
	// ErrReadOnly says that a Device was opened without Write.
	ErrReadOnly = errors.New("opened for reading only")
	// ErrPoisoned says that an earlier sync failed: what the device holds is
	// unknown from there on.
	ErrPoisoned = errors.New("an earlier sync failed")
)

// Device is a file or block device, read and written in parallel, direct or
// through the page cache. Offsets, lengths and buffers may have any alignment:
// what direct I/O cannot take goes through the page cache, and both see each
// other's writes. Concurrent writes must be to disjoint ranges.
//
// Close waits for the calls under way; later calls fail with fs.ErrClosed.
type Device struct {
	// Immutable.
	name     string
	writable bool
	block    bool
	mode     DirectMode
	align    Alignment
	buffered int           // file descriptor through the page cache
	direct   int           // file descriptor with O_DIRECT, or -1
	slots    chan struct{} // one for each read or write in the kernel
	flush    func(fd int) error

	size        atomic.Int64
	noDirect    atomic.Bool  // the kernel refused a direct read or write after all
	noCachestat atomic.Bool  // the kernel cannot tell what the page cache has
	behind      atomic.Int64 // bytes written through the cache since write-back was started
	poison      atomic.Pointer[error]

	// open is held shared by every call and alone by Close, which sets closed.
	open   sync.RWMutex
	closed bool

	// edges keeps direct and buffered writes apart: held shared by direct
	// ones, alone by the others when there is a direct side. A block device
	// lets both go on at a time, and a page that is dirtied while a direct
	// write passes beneath it makes the next sync fail.
	edges sync.RWMutex
}

// OpenDevice opens a regular file or a block device. It never blocks on what
// else the path may be, and refuses it with ErrNotDevice.
func OpenDevice(path string, opts DeviceOptions) (*Device, error) {
	d, err := openDevice(path, opts.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return d, nil
}

// Reopen opens a second time what an open file is, which may be open as a mere
// place (O_PATH) and keeps its name.
func Reopen(f *os.File, opts DeviceOptions) (*Device, error) {
	opts.NoFollow = false // of what stands for the descriptor
	d, err := openDevice(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), opts.withDefaults())
	runtime.KeepAlive(f)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.Name(), err)
	}
	d.name = f.Name()
	return d, nil
}

// Name is the path that was opened.
func (d *Device) Name() string { return d.name }

// Size is the length in bytes, writes of this Device included.
func (d *Device) Size() int64 { return d.size.Load() }

// IsBlockDevice says whether this is a block device, not a file.
func (d *Device) IsBlockDevice() bool { return d.block }

// Alignment is what direct I/O asks for.
func (d *Device) Alignment() Alignment { return d.align }

// Direct says whether direct I/O is in use at all.
func (d *Device) Direct() bool { return d.direct >= 0 && !d.noDirect.Load() }

// ReadAt reads as io.ReaderAt says.
func (d *Device) ReadAt(p []byte, off int64) (int, error) {
	if err := d.enter(); err != nil {
		return 0, d.fail("read", off, err)
	}
	defer d.open.RUnlock()
	if off < 0 {
		return 0, d.fail("read", off, errNegative)
	}
	n, err := d.read(p, off)
	if err != nil && err != io.EOF {
		err = d.fail("read", off+int64(n), err)
	}
	return n, err
}

// WriteAt writes all of p at off. A file grows as needed. The bytes are
// durable after Sync.
func (d *Device) WriteAt(p []byte, off int64) (int, error) {
	if err := d.enterWrite(); err != nil {
		return 0, d.fail("write", off, err)
	}
	defer d.open.RUnlock()
	if off < 0 {
		return 0, d.fail("write", off, errNegative)
	}
	n, err := d.write(p, off)
	if n > 0 {
		d.grow(off + int64(n))
	}
	if err != nil {
		return n, d.fail("write", off+int64(n), err)
	}
	return n, nil
}

// Sync makes all that was written durable. When it fails nobody knows what is
// on disk, and asking again may wrongly say that all is well: so the device is
// poisoned, and this and all later calls fail with ErrPoisoned.
func (d *Device) Sync() error {
	if err := d.enter(); err != nil {
		return fmt.Errorf("sync %s: %w", d.name, err)
	}
	defer d.open.RUnlock()
	if err := d.flush(d.buffered); err != nil {
		cause := fmt.Errorf("sync %s: %w", d.name, err)
		d.poison.CompareAndSwap(nil, &cause)
		return cause
	}
	return nil
}

// Truncate sets the length of a file; a block device must be as large, and
// stays as it is.
func (d *Device) Truncate(size int64) error {
	err := d.enterWrite()
	if err == nil {
		defer d.open.RUnlock()
		err = d.truncate(size)
	}
	if err != nil {
		return fmt.Errorf("truncate %s to %d: %w", d.name, size, err)
	}
	return nil
}

// Close closes the device; it syncs nothing.
func (d *Device) Close() error {
	d.open.Lock()
	defer d.open.Unlock()
	if d.closed {
		return fmt.Errorf("close %s: %w", d.name, fs.ErrClosed)
	}
	d.closed = true
	if err := d.closeFiles(); err != nil {
		return fmt.Errorf("close %s: %w", d.name, err)
	}
	return nil
}

var (
	errNegative = errors.New("negative offset")
	errTooSmall = errors.New("the block device is smaller")
)

// enter begins a call; after nil the caller ends it with open.RUnlock.
func (d *Device) enter() error {
	d.open.RLock()
	if d.closed {
		d.open.RUnlock()
		return fs.ErrClosed
	}
	if cause := d.poison.Load(); cause != nil {
		d.open.RUnlock()
		return fmt.Errorf("%w: %w", ErrPoisoned, *cause)
	}
	return nil
}

func (d *Device) enterWrite() error {
	if !d.writable {
		return ErrReadOnly
	}
	return d.enter()
}

func (d *Device) fail(act string, off int64, err error) error {
	return fmt.Errorf("%s %s at %d: %w", act, d.name, off, err)
}

// grow notes that the file reaches to end.
func (d *Device) grow(end int64) {
	for {
		size := d.size.Load()
		if end <= size || d.size.CompareAndSwap(size, end) {
			return
		}
	}
}
