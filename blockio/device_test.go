package blockio_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// onFilesystems runs a test in each mode on each file system.
func onFilesystems(t *testing.T, test func(t *testing.T, path string, opts blockio.DeviceOptions)) {
	t.Parallel()
	for _, f := range filesystems {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			dir := f.dir(t)
			for _, m := range directModes {
				if f.name == "ramfs" && m.mode == blockio.DirectOn {
					continue
				}
				t.Run(m.name, func(t *testing.T) {
					test(t, filepath.Join(dir, m.name), blockio.DeviceOptions{Direct: m.mode, Write: true, Create: true})
				})
			}
		})
	}
}

// TestDeviceModel does random things to a device and to a slice of bytes, and
// compares.
func TestDeviceModel(t *testing.T) {
	onFilesystems(t, func(t *testing.T, path string, opts blockio.DeviceOptions) {
		d := openDevice(t, path, opts)
		playModel(t, d, 0)
	})
}

func TestBlockDeviceModel(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	for _, m := range directModes {
		t.Run(m.name, func(t *testing.T) {
			d := openDevice(t, loopDevice(t, size), blockio.DeviceOptions{Direct: m.mode, Write: true})
			if !d.IsBlockDevice() || d.Size() != size {
				t.Fatalf("block device %v, size %d", d.IsBlockDevice(), d.Size())
			}
			playModel(t, d, size)
			for e, err := range d.Extents(t.Context(), 1000, 5000) {
				want := blockio.Extent{Offset: 1000, Length: 5000, Host: 1000, State: blockio.Data}
				if err != nil || e != want {
					t.Errorf("extent %+v, %v", e, err)
				}
			}
			if err := d.Truncate(size / 2); err != nil || d.Size() != size {
				t.Errorf("truncate to less: %v, size %d", err, d.Size())
			}
			if err := d.Truncate(size + 1); err == nil {
				t.Error("truncate to more: no error")
			}
		})
	}
}

// playModel plays on a file that may grow to 6 MiB, or a device of fixed size.
func playModel(t *testing.T, d *blockio.Device, fixed int) {
	t.Helper()
	const most = 6 << 20
	rng := rand.New(rand.NewPCG(1, 2))
	model := make([]byte, fixed)
	arena := blockio.NewArena(64 << 20)
	mem := mustGet(t, arena, most+blockio.BlockSize)
	defer mem.Release()
	// A range with aligned and other offsets, lengths and addresses.
	pick := func() (p []byte, off int) {
		grid := []int{1, 512, 4096, 1 << 20}[rng.IntN(4)]
		off = rng.IntN(most/2) / grid * grid
		n := (1 + rng.IntN(most/2)>>rng.IntN(12)) / grid * grid
		return mem.Bytes()[rng.IntN(2)*rng.IntN(blockio.BlockSize):][:n], off
	}
	for range 150 {
		p, off := pick()
		end := off + len(p)
		switch act := rng.IntN(8); {
		case act < 3:
			_, _ = rand.NewChaCha8([32]byte{byte(rng.Uint32())}).Read(p)
			writeAt(t, d, p, off)
			if end > len(model) && len(p) > 0 {
				model = append(model, make([]byte, end-len(model))...)
			}
			copy(model[min(off, len(model)):], p)
		case act == 3 && len(p) > 0 && (fixed == 0 || off%512 == 0 && len(p)%512 == 0):
			var err error
			if grow := rng.IntN(2) == 0; grow || fixed > 0 {
				if err = d.ZeroRange(int64(off), int64(len(p))); err == nil && end > len(model) {
					model = append(model, make([]byte, end-len(model))...)
				}
			} else {
				err = d.PunchHole(int64(off), int64(len(p)))
			}
			if errors.Is(err, errors.ErrUnsupported) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if off < len(model) {
				clear(model[off:min(end, len(model))])
			}
		case act == 4 && fixed == 0:
			if err := d.Truncate(int64(end)); err != nil {
				t.Fatal(err)
			}
			if end > len(model) {
				model = append(model, make([]byte, end-len(model))...)
			}
			model = model[:end]
		case act == 5:
			if err := d.Sync(); err != nil {
				t.Fatal(err)
			}
		default:
			n, err := d.ReadAt(p, int64(off))
			want := model[min(off, len(model)):min(end, len(model))]
			if n != len(want) || n < len(p) && err != io.EOF || n == len(p) && err != nil {
				t.Fatalf("read %d at %d of %d: %d, %v", len(p), off, len(model), n, err)
			}
			if !bytes.Equal(p[:n], want) {
				t.Fatalf("read %d at %d: wrong bytes", len(p), off)
			}
		}
		if got := d.Size(); got != int64(len(model)) {
			t.Fatalf("size %d, want %d", got, len(model))
		}
	}
	all := make([]byte, len(model))
	if _, err := d.ReadAt(all, 0); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	if !bytes.Equal(all, model) {
		t.Fatal("wrong bytes in the end")
	}
}

// TestDeviceSharedPages writes neighbouring ranges with uneven borders
// concurrently: no page may lose what a neighbour wrote into it.
func TestDeviceSharedPages(t *testing.T) {
	onFilesystems(t, func(t *testing.T, path string, opts blockio.DeviceOptions) {
		sharePages(t, openDevice(t, path, opts))
	})
}

func TestBlockDeviceSharedPages(t *testing.T) {
	t.Parallel()
	for _, m := range directModes {
		t.Run(m.name, func(t *testing.T) {
			sharePages(t, openDevice(t, loopDevice(t, 8<<20), blockio.DeviceOptions{Direct: m.mode, Write: true}))
		})
	}
}

func sharePages(t *testing.T, d *blockio.Device) {
	t.Helper()
	for round := range uint64(6) {
		want := randomBytes(4<<20+333, round) // not what is there already
		var wg sync.WaitGroup
		rng := rand.New(rand.NewPCG(3, round))
		for off := 0; off < len(want); {
			n := min(1+rng.IntN(40<<10), len(want)-off)
			at := off
			wg.Go(func() { writeAt(t, d, want[at:at+n], at) })
			off += n
		}
		wg.Wait()
		if err := d.Sync(); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := d.ReadAt(got, 0); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatal("wrong bytes")
		}
	}
}

// TestDeviceMixed writes through one device and reads through another of each
// mode: direct and buffered I/O see each other's bytes.
func TestDeviceMixed(t *testing.T) {
	onFilesystems(t, func(t *testing.T, path string, opts blockio.DeviceOptions) {
		w := openDevice(t, path, opts)
		var readers []*blockio.Device
		for _, m := range directModes {
			r, err := blockio.OpenDevice(path, blockio.DeviceOptions{Direct: m.mode})
			if err != nil {
				continue // ramfs
			}
			defer r.Close()
			readers = append(readers, r)
		}
		for i := range 4 {
			want := randomBytes(1<<20+i, uint64(i))
			writeAt(t, w, want, 100*i)
			for _, r := range readers {
				got := make([]byte, len(want))
				if _, err := r.ReadAt(got, int64(100*i)); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Fatal("an old state was read")
				}
			}
		}
	})
}

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

func TestDeviceExtents(t *testing.T) {
	t.Parallel()
	for _, f := range filesystems {
		if f.name == "ramfs" {
			continue // keeps no map
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			d := openDevice(t, filepath.Join(f.dir(t), "file"), blockio.DeviceOptions{Write: true, Create: true})
			const mib = 1 << 20
			writeAt(t, d, randomBytes(mib, 1), mib)
			writeAt(t, d, randomBytes(mib, 2), 3*mib)
			if err := d.Truncate(8 * mib); err != nil {
				t.Fatal(err)
			}
			if err := d.Sync(); err != nil {
				t.Fatal(err)
			}
			type run struct{ Offset, Length int64 }
			extents := func(off, n int64) (data []run) {
				at := off
				for e, err := range d.Extents(t.Context(), off, n) {
					if err != nil {
						t.Fatal(err)
					}
					if e.Offset != at || e.Length <= 0 || e.Host != e.Offset {
						t.Fatalf("extent %+v at %d", e, at)
					}
					at = e.End()
					if e.State == blockio.Data {
						data = append(data, run{e.Offset, e.Length})
					}
				}
				if at != off+n {
					t.Fatalf("extents end at %d, not %d", at, off+n)
				}
				return data
			}
			if diff := cmp.Diff([]run{{mib, mib}, {3 * mib, mib}}, extents(0, 8*mib)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]run{{mib + 7, 100}}, extents(mib+7, 100)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]run{{3 * mib, 1}}, extents(2*mib+5, mib-4)); diff != "" {
				t.Error(diff)
			}
			if data := extents(5*mib, 3*mib); data != nil {
				t.Errorf("data %v in a hole", data)
			}
			for range d.Extents(t.Context(), 0, 0) {
				t.Error("an extent in an empty range")
			}
		})
	}
}

func TestDeviceAllocate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	d := openDevice(t, path, blockio.DeviceOptions{Write: true, Create: true})
	blocks := func() int64 {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		return st.Blocks * 512
	}
	if err := d.Allocate(0, 2<<20); err != nil {
		t.Fatal(err)
	}
	if d.Size() != 2<<20 || blocks() < 2<<20 {
		t.Errorf("size %d, %d bytes on disk", d.Size(), blocks())
	}
	if err := d.PunchHole(0, 1<<20); err != nil {
		t.Fatal(err)
	}
	if d.Size() != 2<<20 || blocks() > 1<<20+64<<10 {
		t.Errorf("size %d, %d bytes on disk after punching", d.Size(), blocks())
	}
}

func TestDeviceClone(t *testing.T) {
	t.Parallel()
	for _, f := range filesystems {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			dir := f.dir(t)
			src := openDevice(t, filepath.Join(dir, "src"), blockio.DeviceOptions{Write: true, Create: true})
			want := randomBytes(1<<20+5, 1)
			writeAt(t, src, want, 0)
			dst := openDevice(t, filepath.Join(dir, "dst"), blockio.DeviceOptions{Write: true, Create: true})
			err := dst.CloneFrom(src)
			if f.reflink {
				if err != nil {
					t.Fatal(err)
				}
				wantRead(t, dst, want, 0, 2<<20)
				if dst.Size() != src.Size() {
					t.Errorf("size %d, want %d", dst.Size(), src.Size())
				}
			} else if f.name != "default" && !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("clone on %s: %v", f.name, err)
			}
			// Never across file systems.
			other := openDevice(t, filepath.Join(t.TempDir(), "other"), blockio.DeviceOptions{Write: true, Create: true})
			if err := other.CloneFrom(src); f.name != "default" && !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("clone across file systems: %v", err)
			}
		})
	}
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
