package blockio_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/blockmill/blockmill/blockio"
)

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
