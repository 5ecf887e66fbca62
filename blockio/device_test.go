package blockio_test

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio"
)

func openDevice(t testing.TB, path string, opts blockio.DeviceOptions) *blockio.Device {
	t.Helper()
	d, err := blockio.OpenDevice(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
			t.Error(err)
		}
	})
	return d
}

func writeAt(t testing.TB, w io.WriterAt, p []byte, off int) {
	t.Helper()
	if n, err := w.WriteAt(p, int64(off)); err != nil || n != len(p) {
		t.Fatalf("write %d at %d: %d, %v", len(p), off, n, err)
	}
}

var directModes = []struct {
	name string
	mode blockio.DirectMode
}{{"auto", blockio.DirectAuto}, {"on", blockio.DirectOn}, {"off", blockio.DirectOff}}

func TestDeviceDirectRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(filesystem{name: "ramfs"}.dir(t), "file")
	_, err := blockio.OpenDevice(path, blockio.DeviceOptions{Write: true, Create: true, Direct: blockio.DirectOn})
	if !errors.Is(err, syscall.EINVAL) {
		t.Errorf("direct on ramfs: %v", err)
	}
	d := openDevice(t, path, blockio.DeviceOptions{Write: true, Create: true})
	if d.Direct() || d.Alignment() != (blockio.Alignment{Memory: 1, Offset: 1}) {
		t.Errorf("direct %v, alignment %+v", d.Direct(), d.Alignment())
	}
}

func TestDeviceDirect(t *testing.T) {
	t.Parallel()
	for _, f := range filesystems {
		if f.mkfs == nil {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(f.dir(t), "file")
			d := openDevice(t, path, blockio.DeviceOptions{Write: true, Create: true, Direct: blockio.DirectOn})
			a := d.Alignment()
			if !d.Direct() || a.Memory < 1 || a.Offset < 512 || blockio.BlockSize%a.Offset != 0 {
				t.Errorf("direct %v, alignment %+v", d.Direct(), a)
			}
		})
	}
}

// TestDeviceFallsBack shows that reading goes on where the kernel refuses a
// direct read after all, or cannot tell what is cached.
func TestDeviceFallsBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	want := randomBytes(1<<20+77, 5)
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, spoil := range []func(*blockio.Device){
		(*blockio.Device).ForgetCachestat,
		func(d *blockio.Device) { d.ForgetCachestat(); d.Misalign() },
	} {
		d := openDevice(t, path, blockio.DeviceOptions{})
		spoil(d)
		for _, off := range []int{0, 3, 4096} {
			wantRead(t, d, want, off, 1<<20)
		}
	}
}

func TestDeviceKinds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := unix.Mkfifo(path("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Mkdir(path("dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"link": "file", "dirlink": "dir", "fifolink": "fifo", "dangling": "none"} {
		if err := os.Symlink(to, path(name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		path     string
		noFollow bool
		want     error
	}{
		{path("fifo"), false, blockio.ErrNotDevice},
		{path("fifolink"), false, blockio.ErrNotDevice},
		{path("socket"), false, blockio.ErrNotDevice},
		{path("dir"), false, blockio.ErrNotDevice},
		{path("dirlink"), false, blockio.ErrNotDevice},
		{os.DevNull, false, blockio.ErrNotDevice},
		{path("none"), false, fs.ErrNotExist},
		{path("dangling"), false, fs.ErrNotExist},
		{path("file"), false, nil},
		{path("file"), true, nil},
		{path("link"), false, nil},
		{path("link"), true, blockio.ErrNotDevice},
	} {
		for _, write := range []bool{false, true} {
			d, err := blockio.OpenDevice(c.path, blockio.DeviceOptions{Write: write, NoFollow: c.noFollow})
			if !errors.Is(err, c.want) {
				t.Errorf("open %s, write %v: %v, want %v", c.path, write, err, c.want)
			}
			if err == nil {
				_ = d.Close()
			}
		}
	}
}

// What is opened again is what was open, whatever has its name now.
func TestReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	want := randomBytes(1<<20, 1)
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, flags := range []int{unix.O_RDONLY, unix.O_PATH} {
		f, err := os.OpenFile(path, flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path, path+".old"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("another"), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := blockio.Reopen(f, blockio.DeviceOptions{NoFollow: true})
		if err := errors.Join(err, f.Close(), os.Rename(path+".old", path)); err != nil {
			t.Fatal(err)
		}
		if d.Name() != path || d.Size() != int64(len(want)) {
			t.Errorf("flags %#x: %s of %d bytes", flags, d.Name(), d.Size())
		}
		wantRead(t, d, want, 0, len(want))
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, err := blockio.Reopen(dir, blockio.DeviceOptions{}); !errors.Is(err, blockio.ErrNotDevice) {
		t.Errorf("a directory: %v", err)
	}
}

func TestDeviceCreate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	opts := blockio.DeviceOptions{Write: true, Create: true, Exclusive: true, Perm: 0o600}
	d := openDevice(t, path, opts)
	writeAt(t, d, []byte("hello"), 0)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != 5 {
		t.Errorf("made %v, %v", info, err)
	}
	if _, err := blockio.OpenDevice(path, opts); !errors.Is(err, fs.ErrExist) {
		t.Errorf("exclusive open of what exists: %v", err)
	}
	if d := openDevice(t, path, blockio.DeviceOptions{Write: true, Create: true}); d.Size() != 5 {
		t.Errorf("size %d", d.Size())
	}
	if d := openDevice(t, path, blockio.DeviceOptions{Write: true, Truncate: true}); d.Size() != 0 {
		t.Errorf("size %d after truncation", d.Size())
	}
}

func TestDeviceMisuse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := openDevice(t, path, blockio.DeviceOptions{})
	if _, err := d.WriteAt([]byte("x"), 0); !errors.Is(err, blockio.ErrReadOnly) {
		t.Errorf("write: %v", err)
	}
	for _, err := range []error{d.Truncate(0), d.Allocate(0, 1), d.PunchHole(0, 1), d.ZeroRange(0, 1)} {
		if !errors.Is(err, blockio.ErrReadOnly) {
			t.Errorf("change: %v", err)
		}
	}
	if _, err := d.ReadAt(make([]byte, 1), -1); err == nil || err == io.EOF {
		t.Errorf("read at -1: %v", err)
	}
	if n, err := d.ReadAt(nil, 100); n != 0 || err != nil {
		t.Errorf("read of nothing: %d, %v", n, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.ReadAt(make([]byte, 1), 0); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("read after Close: %v", err)
	}
	if err := d.Close(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
}

func TestDevicePoisoned(t *testing.T) {
	t.Parallel()
	d := openDevice(t, filepath.Join(t.TempDir(), "file"), blockio.DeviceOptions{Write: true, Create: true})
	writeAt(t, d, []byte("hello"), 0)
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	d.FailSync(syscall.EIO)
	if err := d.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync: %v", err)
	}
	wantPoisoned(t, d, syscall.EIO)
}

// wantPoisoned checks that nothing works after a failed sync, above all no
// second sync.
func wantPoisoned(t *testing.T, d *blockio.Device, cause error) {
	t.Helper()
	_, readErr := d.ReadAt(make([]byte, 1), 0)
	_, writeErr := d.WriteAt([]byte("x"), 0)
	var mapErr error
	for _, err := range d.Extents(t.Context(), 0, 1) {
		mapErr = err
	}
	for i, err := range []error{d.Sync(), d.Sync(), readErr, writeErr, mapErr, d.Truncate(0), d.Allocate(0, 1)} {
		if !errors.Is(err, blockio.ErrPoisoned) || !errors.Is(err, cause) {
			t.Errorf("call %d after a failed sync: %v", i, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestDeviceFullDisk lets a sync fail for real: a block device whose backing
// store, a small tmpfs, is full.
func TestDeviceFullDisk(t *testing.T) {
	t.Parallel()
	needRoot(t, "mount", "losetup")
	dir := t.TempDir()
	mount(t, dir, "-t", "tmpfs", "-o", "size=1M", "tmpfs")
	backing := openDevice(t, filepath.Join(dir, "image"), blockio.DeviceOptions{Write: true, Create: true})
	if err := backing.Truncate(8 << 20); err != nil {
		t.Fatal(err)
	}
	if err := backing.Close(); err != nil {
		t.Fatal(err)
	}
	dev := run(t, "losetup", "-f", "--show", filepath.Join(dir, "image"))
	dev = dev[:len(dev)-1]
	t.Cleanup(func() { run(t, "losetup", "-d", dev) })
	d := openDevice(t, dev, blockio.DeviceOptions{Write: true, Direct: blockio.DirectOff})
	writeAt(t, d, randomBytes(4<<20, 1), 0)
	err := d.Sync()
	if err == nil {
		t.Fatal("sync to a full disk: no error")
	}
	wantPoisoned(t, d, errors.Unwrap(err))
}

func TestBlockDeviceExclusive(t *testing.T) {
	t.Parallel()
	needRoot(t, "mkfs.btrfs", "mount")
	dev := loopDevice(t, 200<<20)
	open := func() error {
		d, err := blockio.OpenDevice(dev, blockio.DeviceOptions{Write: true, Create: true, Exclusive: true})
		if err != nil {
			return err
		}
		return d.Close()
	}
	if err := open(); err != nil {
		t.Errorf("exclusive open of a free device: %v", err)
	}
	run(t, "mkfs.btrfs", "-q", dev)
	mount(t, t.TempDir(), dev)
	if err := open(); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("exclusive open of a mounted device: %v", err)
	}
}
