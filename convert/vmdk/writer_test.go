package vmdk_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/vmdk"
)

const window = 4 << 20

// writeImage writes guest in the windows of order, several at a time.
func writeImage(t *testing.T, w *vmdk.Writer, guest []byte, parallel int, order []int) {
	t.Helper()
	var g errgroup.Group
	g.SetLimit(parallel)
	for _, i := range order {
		off := i * window
		g.Go(func() error {
			_, err := w.WriteAt(guest[off:min(off+window, len(guest))], int64(off))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func windows(size int) []int {
	order := make([]int, (size+window-1)/window)
	for i := range order {
		order[i] = i
	}
	return order
}

// create begins an image in a new file.
func create(t *testing.T, size int64, opts vmdk.WriterOptions) (*vmdk.Writer, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.vmdk")
	d, err := blockio.OpenDevice(path, blockio.DeviceOptions{Write: true, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	w, err := vmdk.Create(d, size, opts)
	if err != nil {
		t.Fatal(err)
	}
	return w, path
}

func TestWriter(t *testing.T) {
	reversed := []int{8, 7, 6, 5, 4, 3, 2, 1, 0}
	tests := []struct {
		name     string
		guest    []byte
		parallel int
		order    []int
	}{
		{"one by one", sample(34 << 20), 1, windows(34 << 20)},
		{"in parallel", sample(34 << 20), 8, windows(34 << 20)},
		{"backwards", sample(33<<20 + 512), 1, reversed},
		{"partial grain", sample(5<<20 + 512*3), 4, windows(5<<20 + 512*3)},
		{"one sector", []byte(strings.Repeat("x", 512)), 1, []int{0}},
		{"zeros", make([]byte, 9<<20), 2, windows(9 << 20)},
		{"nothing written", make([]byte, 100<<20), 1, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, path := create(t, int64(len(tt.guest)), vmdk.WriterOptions{Name: "x.vmdk"})
			writeImage(t, w, tt.guest, tt.parallel, tt.order)
			img := openCorpus(t, path, nil)
			if err := img.Check(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			got, err := readAll(img, img.Size())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, tt.guest) {
				t.Fatal("the bytes differ")
			}
			checkExtents(t, img, tt.guest)
			checkAscending(t, path)
			dir := filepath.Dir(path)
			if err := os.WriteFile(filepath.Join(dir, "guest.raw"), tt.guest, 0o600); err != nil {
				t.Fatal(err)
			}
			qemuImg(t, dir, "check", "-f", "vmdk", "x.vmdk")
			qemuImg(t, dir, "compare", "-f", "vmdk", "-F", "raw", "x.vmdk", "guest.raw")
		})
	}
}

// checkAscending reads a file as a stream: from marker to marker, grains in
// the order of the guest, to the end of the stream at the end of the file.
func checkAscending(t *testing.T, path string) {
	t.Helper()
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := int64(-1)
	for at := 128 * sector; ; {
		val, size, kind := vmdk.ParseMarker(p[at:])
		switch {
		case size > 0:
			if int64(val) <= last {
				t.Fatalf("grain of sector %d after that of %d", val, last)
			}
			last = int64(val)
			at += (12 + int(size) + sector - 1) / sector * sector
		case kind == 0:
			if at != len(p)-sector {
				t.Fatalf("end of stream at %d of %d bytes", at, len(p))
			}
			return
		default:
			at += (1 + int(val)) * sector
		}
	}
}

// TestWriterIsDeterministic writes one content twice, in other orders.
func TestWriterIsDeterministic(t *testing.T) {
	guest := sample(34 << 20)
	var files [2][]byte
	for i, parallel := range []int{1, 8} {
		w, path := create(t, int64(len(guest)), vmdk.WriterOptions{})
		writeImage(t, w, guest, parallel, windows(len(guest)))
		var err error
		if files[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("the files differ")
	}
}

func TestWriterRefuses(t *testing.T) {
	for name, create := range map[string]func(d vmdk.Target) error{
		"size 0":         func(d vmdk.Target) error { _, err := vmdk.Create(d, 0, vmdk.WriterOptions{}); return err },
		"half a sector":  func(d vmdk.Target) error { _, err := vmdk.Create(d, 256, vmdk.WriterOptions{}); return err },
		"65 TiB":         func(d vmdk.Target) error { _, err := vmdk.Create(d, 65<<40, vmdk.WriterOptions{}); return err },
		"level 10":       func(d vmdk.Target) error { _, err := vmdk.Create(d, 512, vmdk.WriterOptions{Level: 10}); return err },
		"a path as name": func(d vmdk.Target) error { _, err := vmdk.Create(d, 512, vmdk.WriterOptions{Name: "../x"}); return err },
		"a line as name": func(d vmdk.Target) error {
			_, err := vmdk.Create(d, 512, vmdk.WriterOptions{Name: "x\ny=z"})
			return err
		},
		"half a grain": func(d vmdk.Target) error {
			w, err := vmdk.Create(d, 1<<20, vmdk.WriterOptions{})
			if err == nil {
				_, err = w.WriteAt(make([]byte, 512), 0)
			}
			return err
		},
		"beyond the end": func(d vmdk.Target) error {
			w, err := vmdk.Create(d, 1<<20, vmdk.WriterOptions{})
			if err == nil {
				_, err = w.WriteAt(make([]byte, 64<<10), 1<<20)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := create(&fullDisk{room: 1 << 20}); err == nil {
				t.Error("passed")
			}
		})
	}
}

// fullDisk is a target that takes so many bytes.
type fullDisk struct {
	mu   sync.Mutex
	room int
}

var errFull = errors.New("no space left")

func (d *fullDisk) Truncate(int64) error { return nil }
func (d *fullDisk) Sync() error          { return nil }
func (d *fullDisk) WriteAt(p []byte, _ int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.room -= len(p); d.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriterFullDisk(t *testing.T) {
	guest := sample(12 << 20)
	for _, room := range []int{0, 1 << 20, 2 << 20} {
		w, err := vmdk.Create(&fullDisk{room: room}, int64(len(guest)), vmdk.WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for off := 0; off < len(guest); off += window {
			if _, err := w.WriteAt(guest[off:off+window], int64(off)); err != nil && !errors.Is(err, errFull) {
				t.Errorf("WriteAt: %v, want %v", err, errFull)
			}
		}
		if err := w.Finish(t.Context()); !errors.Is(err, errFull) {
			t.Errorf("Finish with %d bytes of room: %v, want %v", room, err, errFull)
		}
	}
}
