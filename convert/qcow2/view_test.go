package qcow2_test

import (
	"bytes"
	"context"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/qcow2"
)

// blocky is content that has data in some blocks, and holes between them. A block
// is the bytes at the first places of its 4 KiB, as they follow from its number.
type blocky struct {
	size int64
	data map[int64]bool // by number of 4 KiB
}

const blockyBlock = 4 << 10

func (s *blocky) Size() int64 { return s.size }

func (s *blocky) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > s.size {
		return 0, io.ErrUnexpectedEOF
	}
	for i := range p {
		at := off + int64(i)
		p[i] = 0
		if b := at / blockyBlock; s.data[b] {
			p[i] = byte(b*7 + at%251 + 1)
		}
	}
	return len(p), nil
}

func (s *blocky) Extents(_ context.Context, off, length int64) iter.Seq2[blockio.Extent, error] {
	return func(yield func(blockio.Extent, error) bool) {
		state := func(at int64) blockio.State {
			switch b := at / blockyBlock; {
			case s.data[b]:
				return blockio.Data
			case b%2 == 0:
				return blockio.Zero
			}
			return blockio.Hole
		}
		for at := off; at < off+length; {
			end := at
			for end < off+length && state(end) == state(at) && end-at < 256<<20 {
				end = min((end/blockyBlock+1)*blockyBlock, off+length)
			}
			if !yield(blockio.Extent{Offset: at, Length: end - at, Host: blockio.NoHost, State: state(at)}, nil) {
				return
			}
			at = end
		}
	}
}

func blockyOf(size int64, blocks ...int64) *blocky {
	s := &blocky{size: size, data: map[int64]bool{}}
	for _, b := range blocks {
		s.data[b] = true
	}
	return s
}

func TestView(t *testing.T) {
	needQEMU(t)
	many := blockyOf(300 << 20)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		many.data[rng.Int64N(many.size/blockyBlock)] = true
	}
	tests := map[string]*blocky{
		"empty":        blockyOf(0),
		"one sector":   blockyOf(512, 0),
		"holes":        blockyOf(100 << 20),
		"one cluster":  blockyOf(64<<10, 3, 4),
		"end inside":   blockyOf(3<<20+512, 0, 1, 768),
		"last blocks":  blockyOf(1<<30, 0, 1<<18-1),
		"three tables": blockyOf(2<<30, 16, 17, 1<<17+5, 1<<17+500, 3<<17),
		"many":         many,
	}
	for name, src := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := qcow2.NewView(t.Context(), src)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "view.qcow2")
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(f, io.NewSectionReader(v, 0, v.Size())); err != nil || n != v.Size() {
				t.Fatalf("%d bytes of %d, %v", n, v.Size(), err)
			}
			if n, err := v.ReadAt(make([]byte, 1), v.Size()); n != 0 || err != io.EOF {
				t.Errorf("at the end: %d, %v", n, err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if src.size > 0 {
				if out, err := exec.Command("qemu-img", "check", path).CombinedOutput(); err != nil {
					t.Errorf("qemu-img check: %v\n%s", err, out)
				}
			}
			sameGuest(t, path, src)
			samePieces(t, path, v)
		})
	}
}

// sameGuest opens a file, checks it whole, and compares the guest's bytes where
// there are some, and between.
func sameGuest(t *testing.T, path string, src *blocky) {
	t.Helper()
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	img, err := qcow2.Open(bytes.NewReader(p), int64(len(p)), qcow2.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := img.Check(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if img.Size() != src.size {
		t.Fatalf("size %d, want %d", img.Size(), src.size)
	}
	var data int64
	for e, err := range img.Extents(t.Context(), 0, src.size) {
		if err != nil {
			t.Fatal(err)
		}
		if e.State != blockio.Data {
			continue
		}
		data += e.Length
		want, got := make([]byte, e.Length), make([]byte, e.Length)
		if _, err := src.ReadAt(want, e.Offset); err != nil {
			t.Fatal(err)
		}
		if _, err := img.ReadAt(got, e.Offset); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, got) {
			t.Errorf("%d bytes at %d differ", e.Length, e.Offset)
		}
	}
	clusters := map[int64]bool{}
	for b := range src.data {
		clusters[b/16] = true
	}
	var want int64
	for c := range clusters {
		want += min(64<<10, src.size-c*64<<10)
	}
	if data != want {
		t.Errorf("%d bytes of data, want %d", data, want)
	}
}

// samePieces reads a view in pieces of all sizes, in parallel.
func samePieces(t *testing.T, path string, v *qcow2.View) {
	t.Helper()
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	errs := make(chan error, 50)
	pieces := 0
	for range cap(errs) {
		from := rng.IntN(len(want))
		to := min(len(want), from+rng.IntN(300<<10))
		pieces++
		go func() {
			p := make([]byte, to-from)
			_, err := v.ReadAt(p, int64(from))
			if err == nil && !bytes.Equal(p, want[from:to]) {
				t.Errorf("%d bytes at %d differ", len(p), from)
			}
			errs <- err
		}()
	}
	for range pieces {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestViewRefuses(t *testing.T) {
	for _, size := range []int64{-512, 100, 1 << 62} {
		if v, err := qcow2.NewView(t.Context(), blockyOf(size)); err == nil {
			t.Errorf("a guest of %d bytes: a file of %d", size, v.Size())
		}
	}
}
