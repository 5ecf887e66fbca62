package blockio_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio"
)

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

// A block device with sectors of 4 KiB punches and zeroes no parts of them, which
// is for its user to write.
func TestDeviceSectors(t *testing.T) {
	t.Parallel()
	needRoot(t, "losetup")
	path := strings.TrimSpace(run(t, "losetup", "-f", "--show", "--sector-size", "4096", sparseFile(t, 1<<20)))
	t.Cleanup(func() { run(t, "losetup", "-d", path) })
	d := openDevice(t, path, blockio.DeviceOptions{Write: true})
	for _, act := range []func(off, n int64) error{d.ZeroRange, d.PunchHole} {
		if err := act(0, 8192); err != nil {
			t.Errorf("whole sectors: %v", err)
		}
		for _, off := range []int64{512, 4096} {
			if err := act(off, 512); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("512 bytes at %d: %v", off, err)
			}
		}
	}
}
