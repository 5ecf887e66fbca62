package qcow2_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/blockmill/blockmill/convert/qcow2"
)

// discard is a target that keeps nothing.
type discard struct{ size int64 }

func (d *discard) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (d *discard) Truncate(size int64) error              { d.size = size; return nil }
func (d *discard) Sync() error                            { return nil }

// TestWriterMemory writes one cluster in each of many places of huge images:
// memory must not grow with their tables.
func TestWriterMemory(t *testing.T) {
	for _, tt := range []struct {
		name    string
		size    int64
		step    int64 // between windows
		options qcow2.WriterOptions
	}{
		{"64 TiB of 2 MiB", 64 << 40, 256 << 30, qcow2.WriterOptions{ClusterSize: 2 << 20}},
		{"8 TiB of 64 KiB", 8 << 40, 16 << 30, qcow2.WriterOptions{}},
		{"8 TiB of 4 KiB, a full L1 table", 8 << 40, 8 << 30, qcow2.WriterOptions{ClusterSize: 4 << 10}},
		{"128 GiB of 512 B, a full L1 table", 128 << 30, 128 << 20, qcow2.WriterOptions{ClusterSize: 512, Compression: qcow2.Zlib}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := heap()
			w, err := qcow2.Create(&discard{}, tt.size, tt.options)
			if err != nil {
				t.Fatal(err)
			}
			p := make([]byte, qcow2.Window)
			p[0] = 1
			for off := int64(0); off < tt.size; off += tt.step {
				if _, err := w.WriteAt(p, off); err != nil {
					t.Fatal(err)
				}
			}
			grown := heap() - before
			if err := w.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			if grown > 64<<20 {
				t.Errorf("the writer holds %d MiB", grown>>20)
			}
		})
	}
}

// heap is how much memory is reachable.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestWriterEvictsTables writes to more L2 tables than a writer keeps, and then
// once more to the first of them.
func TestWriterEvictsTables(t *testing.T) {
	needQEMU(t)
	const tables, covered = 2100, 8 << 20 // of clusters of 8 KiB
	path := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := qcow2.Create(f, tables*covered, qcow2.WriterOptions{ClusterSize: 8 << 10})
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, qcow2.Window)
	write := func(off int64) {
		binary.BigEndian.PutUint64(p, uint64(off)+1)
		if _, err := w.WriteAt(p, off); err != nil {
			t.Fatal(err)
		}
	}
	for i := range int64(tables) {
		write(i * covered)
	}
	for i := range int64(50) {
		write(i*covered + qcow2.Window)
	}
	if err := w.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, "qemu-img", "check", "-f", "qcow2", path)
	im := openFile(t, path, qcow2.Options{})
	if err := im.Check(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for off := int64(0); off < im.Size(); off += qcow2.Window {
		var got [8]byte
		if _, err := im.ReadAt(got[:], off); err != nil {
			t.Fatal(err)
		}
		want := uint64(0)
		if off%covered == 0 || off < 50*covered {
			want = uint64(off) + 1
		}
		if binary.BigEndian.Uint64(got[:]) != want {
			t.Fatalf("window at %d begins with %d, want %d", off, binary.BigEndian.Uint64(got[:]), want)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		size int64
		opts qcow2.WriterOptions
		want string
	}{
		"size":              {-512, qcow2.WriterOptions{}, "size -512"},
		"size, not sectors": {100, qcow2.WriterOptions{}, "size 100"},
		"size for clusters": {128<<30 + 512, qcow2.WriterOptions{ClusterSize: 512}, "the most with clusters of 512"},
		"cluster size":      {512, qcow2.WriterOptions{ClusterSize: 4 << 20}, "cluster size 4194304"},
		"odd cluster size":  {512, qcow2.WriterOptions{ClusterSize: 3 << 10}, "cluster size 3072"},
		"compression":       {512, qcow2.WriterOptions{Compression: 9}, "compression 9"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := qcow2.Create(&discard{}, tt.size, tt.opts); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v does not say %q", err, tt.want)
			}
		})
	}
}

func TestWriteAtRefusesParts(t *testing.T) {
	w, err := qcow2.Create(&discard{}, 10<<20, qcow2.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range [][2]int64{{512, qcow2.Window}, {0, qcow2.Window - 512}, {-qcow2.Window, 512}, {8 << 20, qcow2.Window}} {
		if _, err := w.WriteAt(make([]byte, r[1]), r[0]); err == nil {
			t.Errorf("write of %d bytes at %d is no error", r[1], r[0])
		}
	}
}

var errBroken = errors.New("broken")

// failing is a target whose nth call fails.
type failing struct{ left int }

func (f *failing) call() error {
	if f.left--; f.left == 0 {
		return errBroken
	}
	return nil
}
func (f *failing) WriteAt(p []byte, _ int64) (int, error) { return len(p), f.call() }
func (f *failing) Truncate(int64) error                   { return f.call() }
func (f *failing) Sync() error                            { return f.call() }

// TestWriterFails lets each call to the target fail by turns: no image may be
// called finished then.
func TestWriterFails(t *testing.T) {
	guest := mixture(6<<20, 1)
	for _, opts := range []qcow2.WriterOptions{{}, {ClusterSize: 512}, {Compression: qcow2.Zstd}} {
		for n := 1; ; n++ {
			target := &failing{left: n}
			w, err := qcow2.Create(target, int64(len(guest)), opts)
			if err != nil {
				t.Fatal(err)
			}
			_, first := w.WriteAt(guest, 0)
			err = w.Finish(t.Context())
			if target.left > 0 { // no call failed
				if first != nil || err != nil {
					t.Errorf("%+v: %v, %v without a fault", opts, first, err)
				}
				if n < 5 {
					t.Errorf("%+v: no more than %d calls", opts, n)
				}
				break
			}
			if !errors.Is(err, errBroken) || first != nil && !errors.Is(first, errBroken) {
				t.Errorf("%+v: call %d failed, the writer says %v, %v", opts, n, first, err)
			}
		}
	}
}
