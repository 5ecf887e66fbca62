package cas_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
)

// testOptions are options of a small store.
func testOptions(v blockio.Volume, indexDir string) cas.Options {
	return cas.Options{
		Volume: v, IndexDir: indexDir, Arena: blockio.NewArena(32 << 20),
		SegmentSize: 4 << 20, BufferSize: 256 << 10, Buffers: 8, ReadBuffers: 2, IndexMemory: 1 << 20,
	}
}

func newStore(t testing.TB, opts cas.Options) *cas.Store {
	t.Helper()
	if err := cas.Init(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	return openStore(t, opts)
}

func openStore(t testing.TB, opts cas.Options) *cas.Store {
	t.Helper()
	s, err := cas.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// guest is the bytes of an image: runs of text, noise and zeros.
func guest(size int, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	p := make([]byte, size)
	for off := 0; off < size; {
		n := min(size-off, (1+rng.IntN(40))<<12)
		run := p[off : off+n]
		switch rng.IntN(3) {
		case 0: // compressible
			word := []byte{byte(rng.Uint32()), byte(rng.Uint32()), 'x', 'y', 'z', 0, 1}
			for i := range run {
				run[i] = word[(i+i/997)%len(word)]
			}
		case 1:
			for i := range run {
				run[i] = byte(rng.Uint32())
			}
		}
		off += n
	}
	return p
}

// put imports an image and gives it a record of its own.
func put(ctx context.Context, s *cas.Store, name string, p []byte) (cas.ImageInfo, error) {
	ses, err := s.Begin(ctx)
	if err != nil {
		return cas.ImageInfo{}, err
	}
	defer ses.Close()
	info, err := write(ctx, ses, p)
	if err != nil {
		return info, err
	}
	return info, s.PutRecord(ctx, cas.Record{Kind: "image", ID: name, Manifests: []cas.ManifestID{info.ID}, Payload: info.Digest[:]})
}

// write writes an image with a few workers.
func write(ctx context.Context, ses *cas.Session, p []byte) (cas.ImageInfo, error) {
	w, err := ses.CreateImage(int64(len(p)))
	if err != nil {
		return cas.ImageInfo{}, err
	}
	windows := make(chan int)
	errs := make([]error, 3)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for n := range windows {
				at := n * cas.WindowSize
				if err := w.PutWindow(ctx, int64(n), p[at:min(at+cas.WindowSize, len(p))]); err != nil {
					errs[i] = err
				}
			}
		})
	}
	for n := range (len(p) + cas.WindowSize - 1) / cas.WindowSize {
		windows <- n
	}
	close(windows)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return cas.ImageInfo{}, err
		}
	}
	return w.Commit(ctx)
}

func mustPut(t testing.TB, s *cas.Store, name string, p []byte) cas.ImageInfo {
	t.Helper()
	info, err := put(t.Context(), s, name, p)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// get reads an image whole.
func get(ctx context.Context, s *cas.Store, id cas.ManifestID) ([]byte, error) {
	im, err := s.OpenImage(ctx, id)
	if err != nil {
		return nil, err
	}
	defer im.Close()
	p := make([]byte, im.Size())
	if len(p) == 0 {
		return p, nil
	}
	_, err = im.ReadAt(p, 0)
	return p, err
}

func wantImage(t testing.TB, s *cas.Store, id cas.ManifestID, want []byte) {
	t.Helper()
	got, err := get(t.Context(), s, id)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("image %v of %d bytes differs at %d", id, len(got), i)
			}
		}
		t.Fatalf("image %v has %d bytes, want %d", id, len(got), len(want))
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 512, 4096, 5000, cas.WindowSize - 512, cas.WindowSize, 3*cas.WindowSize + 4096 + 512} {
		v := blockiotest.NewMemVolume()
		opts := testOptions(v, filepath.Join(t.TempDir(), "index"))
		s := newStore(t, opts)
		p := guest(size, uint64(size))
		info := mustPut(t, s, "a", p)
		wantImage(t, s, info.ID, p)
		again := mustPut(t, s, "b", p)
		if again.NewChunks != 0 || again.Digest != info.Digest || again.Chunks != info.Chunks {
			t.Errorf("size %d: first %+v, again %+v", size, info, again)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, opts)
		wantImage(t, s, info.ID, p)
		wantImage(t, s, again.ID, p)
		if n := mustPut(t, s, "c", p).NewChunks; n != 0 {
			t.Errorf("size %d: %d new chunks after opening again", size, n)
		}
	}
}
