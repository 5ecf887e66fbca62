package raw_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/convert/badimage"
	"github.com/blockmill/blockmill/convert/raw"
)

var _ convert.Image = (*raw.Image)(nil)

func TestOpenRefusesLengths(t *testing.T) {
	for _, size := range []int64{-512, 0, 1, 511, 513, 1<<20 + 256} {
		_, err := raw.Open(bytes.NewReader(nil), size)
		var refusal *badimage.Error
		if !errors.As(err, &refusal) || !errors.Is(err, badimage.ErrCorrupt) || refusal.Format != "raw" {
			t.Errorf("Open of %d bytes: %v, want a refusal", size, err)
		}
	}
}

func TestReadAt(t *testing.T) {
	data := bytes.Repeat([]byte("blockmill"), 1024)
	data = data[:len(data)/512*512]
	img, err := raw.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 1000)
	if n, err := img.ReadAt(p, 100); n != 1000 || err != nil || !bytes.Equal(p, data[100:1100]) {
		t.Errorf("ReadAt = %d, %v", n, err)
	}
	if n, err := img.ReadAt(p, img.Size()-10); n != 10 || err != io.EOF {
		t.Errorf("ReadAt over the end = %d, %v, want 10, EOF", n, err)
	}
	if n, err := img.ReadAt(p, img.Size()); n != 0 || err != io.EOF {
		t.Errorf("ReadAt at the end = %d, %v, want 0, EOF", n, err)
	}
	if _, err := img.ReadAt(p, -1); err == nil {
		t.Error("ReadAt at -1 passed")
	}
	if err := img.Check(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestReadTruncated reads a source that is shorter than it was said to be:
// what is missing is never zeros.
func TestReadTruncated(t *testing.T) {
	img, err := raw.Open(bytes.NewReader(make([]byte, 1000)), 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{489, 900, 1500} {
		if _, err := img.ReadAt(make([]byte, 512), off); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("ReadAt(%d) = %v, want an unexpected end", off, err)
		}
	}
}

func TestExtents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.raw")
	d := openDevice(t, path)
	if err := d.Truncate(8 << 20); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteAt(bytes.Repeat([]byte{1}, 1<<20), 2<<20); err != nil {
		t.Fatal(err)
	}
	mapped, err := raw.Open(d, d.Size())
	if err != nil {
		t.Fatal(err)
	}
	plain, err := raw.Open(struct{ io.ReaderAt }{d}, d.Size())
	if err != nil {
		t.Fatal(err)
	}
	if n := dataBytes(t, mapped); n < 1<<20 || n > 4<<20 {
		t.Errorf("%d bytes of data where the source knows holes", n)
	}
	if n := dataBytes(t, plain); n != 8<<20 {
		t.Errorf("%d bytes of data where the source knows nothing", n)
	}
	for _, img := range []*raw.Image{mapped, plain} {
		for _, err := range img.Extents(t.Context(), 1, img.Size()) {
			if err == nil {
				t.Error("Extents beyond the end passed")
			}
		}
	}
}

func dataBytes(t *testing.T, img *raw.Image) (n int64) {
	t.Helper()
	next := int64(0)
	for e, err := range img.Extents(t.Context(), 0, img.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Offset != next {
			t.Fatalf("extent %+v, want one from %d", e, next)
		}
		next = e.End()
		if e.State == blockio.Data {
			n += e.Length
		}
	}
	if next != img.Size() {
		t.Fatalf("extents end at %d", next)
	}
	return n
}

func openDevice(t *testing.T, path string) *blockio.Device {
	t.Helper()
	d, err := blockio.OpenDevice(path, blockio.DeviceOptions{Write: true, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// sample makes guest bytes with zero runs of all lengths.
func sample(size int) []byte {
	p := make([]byte, size)
	rng := rand.New(rand.NewPCG(7, uint64(size)))
	for off := 0; off < size; {
		n := min(size-off, 512<<rng.IntN(10))
		if rng.IntN(2) == 0 {
			for i := range n {
				p[off+i] = byte(rng.IntN(255) + 1)
			}
		}
		off += n
	}
	return p
}

const window = 1 << 20

// write writes every other window of guest in pairs, so that some are left
// out, and finishes; the windows that are left out are zeros.
func write(t *testing.T, w *raw.Writer, guest []byte) {
	t.Helper()
	var g errgroup.Group
	g.SetLimit(4)
	for off := 0; off < len(guest); off += window {
		part := guest[off:min(off+window, len(guest))]
		if off/window%4 == 3 {
			clear(part)
			continue
		}
		g.Go(func() error {
			_, err := w.WriteAt(part, int64(off))
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

func TestWriter(t *testing.T) {
	for name, opts := range map[string]raw.WriterOptions{"sparse": {}, "dense": {Dense: true}} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.raw")
			if err := os.WriteFile(path, bytes.Repeat([]byte{0xee}, 20<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			guest := sample(9<<20 + 512)
			w, err := raw.Create(openDevice(t, path), int64(len(guest)), opts)
			if err != nil {
				t.Fatal(err)
			}
			write(t, w, guest)
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, guest) {
				t.Error("the bytes differ")
			}
			d := openDevice(t, path)
			img, err := raw.Open(d, d.Size())
			if err != nil {
				t.Fatal(err)
			}
			if n := dataBytes(t, img); (n == img.Size()) != opts.Dense {
				t.Errorf("%d bytes of data of %d", n, img.Size())
			}
		})
	}
}

// oldDevice is a block device in memory that holds old data.
type oldDevice struct {
	bytes []byte

	mu     sync.Mutex
	synced bool // guarded by mu
}

func newOldDevice(size int) *oldDevice {
	return &oldDevice{bytes: bytes.Repeat([]byte{0xee}, size)}
}

func (d *oldDevice) IsBlockDevice() bool  { return true }
func (d *oldDevice) Truncate(int64) error { return nil }

func (d *oldDevice) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.synced = true
	return nil
}

func (d *oldDevice) WriteAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.synced = false
	return copy(d.bytes[off:], p), nil
}

// zeroingDevice is an oldDevice that can zero ranges, or says that it cannot.
type zeroingDevice struct {
	*oldDevice
	unsupported bool
	calls       atomic.Int64
}

func (d *zeroingDevice) ZeroRange(off, n int64) error {
	if d.unsupported {
		return errors.ErrUnsupported
	}
	d.calls.Add(1)
	clear(d.bytes[off : off+n])
	return nil
}

func TestBlockDeviceKeepsNothingOld(t *testing.T) {
	const size = 8<<20 + 512
	old := newOldDevice(size + 4096)
	zeroing := &zeroingDevice{oldDevice: newOldDevice(size + 4096)}
	refusing := &zeroingDevice{oldDevice: newOldDevice(size + 4096), unsupported: true}
	dense := &zeroingDevice{oldDevice: newOldDevice(size + 4096)}
	tests := []struct {
		name string
		dst  raw.Target
		mem  *oldDevice
		opts raw.WriterOptions
	}{
		{"without zeroing", old, old, raw.WriterOptions{}},
		{"zeroing", zeroing, zeroing.oldDevice, raw.WriterOptions{}},
		{"zeroing unsupported", refusing, refusing.oldDevice, raw.WriterOptions{}},
		{"dense", dense, dense.oldDevice, raw.WriterOptions{Dense: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			guest := sample(size)
			w, err := raw.Create(tt.dst, size, tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			for off := 0; off < size; off += window {
				part := guest[off:min(off+window, size)]
				if off/window%4 == 3 {
					clear(part)
					continue
				}
				if _, err := w.WriteAt(part, int64(off)); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(tt.mem.bytes[:size], guest) {
				t.Error("the bytes differ")
			}
			if !bytes.Equal(tt.mem.bytes[size:], bytes.Repeat([]byte{0xee}, 4096)) {
				t.Error("bytes behind the image were changed")
			}
			if !tt.mem.synced {
				t.Error("not synced at the end")
			}
		})
	}
	if zeroing.calls.Load() == 0 || dense.calls.Load() != 0 {
		t.Errorf("%d and %d ranges zeroed, want some, and none where dense", zeroing.calls.Load(), dense.calls.Load())
	}
}

func TestWriterRefuses(t *testing.T) {
	for _, size := range []int64{-1, 0, 100} {
		if _, err := raw.Create(newOldDevice(1), size, raw.WriterOptions{}); err == nil {
			t.Errorf("Create of %d bytes passed", size)
		}
	}
	w, err := raw.Create(newOldDevice(4096), 4096, raw.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{-1, 4096, 3585} {
		if _, err := w.WriteAt(make([]byte, 512), off); err == nil {
			t.Errorf("WriteAt(%d) passed", off)
		}
	}
}

// countingDevice counts writes.
type countingDevice struct {
	*oldDevice
	writes, bytes int
}

func (d *countingDevice) IsBlockDevice() bool { return false }

func (d *countingDevice) WriteAt(p []byte, off int64) (int, error) {
	d.writes++
	d.bytes += len(p)
	return d.oldDevice.WriteAt(p, off)
}

// TestShortZeroRunsAreWritten writes data with short and long runs of zeros: a
// short one is cheaper as a part of a write than as the end of one.
func TestShortZeroRunsAreWritten(t *testing.T) {
	guest := bytes.Repeat([]byte{1}, 256<<10)
	clear(guest[8<<10 : 12<<10])
	clear(guest[64<<10 : 128<<10])
	clear(guest[252<<10:])
	d := &countingDevice{oldDevice: newOldDevice(len(guest))}
	w, err := raw.Create(d, int64(len(guest)), raw.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteAt(guest, 0); err != nil {
		t.Fatal(err)
	}
	if d.writes != 2 || d.bytes != (256-64-4)<<10 {
		t.Errorf("%d bytes in %d writes, want %d in 2", d.bytes, d.writes, (256-64-4)<<10)
	}
}
