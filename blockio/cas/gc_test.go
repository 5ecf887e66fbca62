package cas_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
)

func mustGC(t testing.TB, s *cas.Store, opts cas.GCOptions) cas.GCStats {
	t.Helper()
	st, err := s.GC(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func mustRemove(t testing.TB, s *cas.Store, name string) {
	t.Helper()
	if err := s.RemoveRecord(t.Context(), "image", name); err != nil {
		t.Fatal(err)
	}
}

// sound checks the structure of a store and every image that a record lists.
func sound(t testing.TB, s *cas.Store) {
	t.Helper()
	r, err := s.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Problems {
		t.Error(p)
	}
	for rec, err := range s.Records(t.Context(), "image") {
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(t.Context(), rec.Manifests[0]); err != nil {
			t.Error(err)
		}
	}
}

func objects(t testing.TB, v blockio.Volume, kind string) int {
	t.Helper()
	n := 0
	for _, err := range v.List(t.Context(), kind) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func TestGC(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewMemVolume()
	opts := testOptions(v, filepath.Join(t.TempDir(), "index"))
	s := newStore(t, opts)
	a, b := guest(24<<20, 1), guest(24<<20, 2)
	mixed := append(append([]byte(nil), a[:8<<20]...), b[:8<<20]...)
	ia, ib, im := mustPut(t, s, "a", a), mustPut(t, s, "b", b), mustPut(t, s, "m", mixed)
	if im.NewChunks > 2 {
		t.Errorf("%d new chunks of content that is there", im.NewChunks)
	}
	if st := mustGC(t, s, cas.GCOptions{}); st != (cas.GCStats{}) {
		t.Errorf("nothing is garbage, but %+v", st)
	}
	before, err := s.Stat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mustRemove(t, s, "a")
	mustRemove(t, s, "b")
	st := mustGC(t, s, cas.GCOptions{})
	if st.Manifests != 2 || st.Segments == 0 || st.MovedChunks == 0 {
		t.Errorf("after removing two images: %+v", st)
	}
	after, err := s.Stat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := before.SegmentBytes + before.ManifestBytes - after.SegmentBytes - after.ManifestBytes; got != st.ReclaimedBytes {
		t.Errorf("reclaimed %d bytes, the store shrank by %d", st.ReclaimedBytes, got)
	}
	if after.SegmentBytes > before.SegmentBytes/2 {
		t.Errorf("%d of %d bytes left for a third of the content", after.SegmentBytes, before.SegmentBytes)
	}
	wantImage(t, s, im.ID, mixed)
	for _, id := range []cas.ManifestID{ia.ID, ib.ID} {
		if _, err := s.OpenImage(t.Context(), id); !errors.Is(err, cas.ErrNotFound) {
			t.Errorf("open removed image: %v", err)
		}
	}
	sound(t, s)
	// What was removed is stored again, and comes back whole.
	ia = mustPut(t, s, "a", a)
	wantImage(t, s, ia.ID, a)
	mustRemove(t, s, "a")
	mustRemove(t, s, "m")
	mustGC(t, s, cas.GCOptions{})
	if n := objects(t, v, "segments") + objects(t, v, "manifests"); n != 0 {
		t.Errorf("%d objects left in an empty store", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := v.OpenFiles(); n != 0 {
		t.Errorf("%d files left open", n)
	}
}

func TestRecompress(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewMemVolume()
	s := newStore(t, testOptions(v, ""))
	p := prose(8<<20, 3)
	info := mustPut(t, s, "a", p)
	before, _ := s.Stat(t.Context())
	mustGC(t, s, cas.GCOptions{Recompress: true})
	after, err := s.Stat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if after.StoredBytes >= before.StoredBytes {
		t.Errorf("%d bytes after recompression, %d before", after.StoredBytes, before.StoredBytes)
	}
	wantImage(t, s, info.ID, p)
	sound(t, s)
	if st := mustGC(t, s, cas.GCOptions{Recompress: true}); st.MovedChunks != 0 {
		t.Errorf("the second recompression moved %d chunks", st.MovedChunks)
	}
}

// What could not be tried at import, and cannot be shortened, is tried once.
func TestRecompressNoise(t *testing.T) {
	s := newStore(t, testOptions(blockiotest.NewMemVolume(), ""))
	p := make([]byte, 32<<20)
	var info cas.ImageInfo
	var first cas.GCStats
	// How many are not tried depends on how the workers take turns.
	for try := byte(0); first.MovedChunks == 0; try++ {
		if try == 20 {
			t.Fatal("every chunk was tried at import")
		}
		_, _ = rand.NewChaCha8([32]byte{try}).Read(p) // never fails
		info = mustPut(t, s, "noise", p)
		first = mustGC(t, s, cas.GCOptions{Recompress: true})
	}
	if st := mustGC(t, s, cas.GCOptions{Recompress: true}); st.MovedChunks != 0 {
		t.Errorf("the second recompression moved %d chunks, the first %d", st.MovedChunks, first.MovedChunks)
	}
	wantImage(t, s, info.ID, p)
}

// prose is bytes that every codec shortens, and zstd more than S2.
func prose(size int, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 2))
	words := make([][]byte, 2000)
	for i := range words {
		words[i] = guest(3+rng.IntN(9), rng.Uint64())
	}
	p := make([]byte, 0, size+16)
	for len(p) < size {
		p = append(append(p, words[rng.IntN(1+rng.IntN(len(words)))]...), byte(rng.IntN(4)))
	}
	return p[:size]
}

// TestSessionPins removes an image that a session found again: its chunks are dead
// until the session commits, and must survive.
func TestSessionPins(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewMemVolume()
	s := newStore(t, testOptions(v, ""))
	p := guest(12<<20, 4)
	mustPut(t, s, "a", p)
	ses, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer ses.Close()
	w, err := ses.CreateImage(int64(len(p)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := w.PutWindow(t.Context(), int64(i), p[i*cas.WindowSize:(i+1)*cas.WindowSize]); err != nil {
			t.Fatal(err)
		}
	}
	mustRemove(t, s, "a")
	if st := mustGC(t, s, cas.GCOptions{}); st.Manifests != 1 || st.Segments != 0 {
		t.Errorf("collected %+v beside a session that uses all segments", st)
	}
	info, err := w.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.NewChunks != 0 {
		t.Errorf("%d new chunks", info.NewChunks)
	}
	// Committed, no record yet, session open.
	if st := mustGC(t, s, cas.GCOptions{}); st != (cas.GCStats{}) {
		t.Errorf("collected %+v beside the session that committed", st)
	}
	wantImage(t, s, info.ID, p)
	im, err := s.OpenImage(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := ses.Close(); err != nil {
		t.Fatal(err)
	}
	if st := mustGC(t, s, cas.GCOptions{}); st != (cas.GCStats{}) {
		t.Errorf("collected %+v of an open image", st)
	}
	if err := im.Close(); err != nil {
		t.Fatal(err)
	}
	if st := mustGC(t, s, cas.GCOptions{}); st.Manifests != 1 || st.Segments == 0 {
		t.Errorf("collected %+v when nobody used the image", st)
	}
}

// TestGCBesideEverything imports, removes, reads and collects at the same time.
func TestGCBesideEverything(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewMemVolume()
	opts := testOptions(v, filepath.Join(t.TempDir(), "index"))
	s := newStore(t, opts)
	base := guest(8<<20, 5)
	ctx, stop := context.WithCancel(t.Context())
	var collector, importers sync.WaitGroup
	collector.Go(func() {
		for ctx.Err() == nil {
			if _, err := s.GC(ctx, cas.GCOptions{Sparse: 0.9}); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	for n := range 3 {
		importers.Go(func() {
			for round := range 4 {
				p := append([]byte(nil), base...)
				copy(p[(n+round)<<20:], guest(1<<20, uint64(100+10*n+round%2)))
				name := fmt.Sprintf("i%d", n)
				info, err := put(ctx, s, name, p)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := get(ctx, s, info.ID); err != nil || string(got) != string(p) {
					t.Errorf("image %s differs: %v", name, err)
				}
				if round%2 == 1 {
					if err := s.RemoveRecord(ctx, "image", name); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	importers.Wait()
	stop()
	collector.Wait()
	sound(t, s)
	// A segment may have been on its way to the volume until now.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, opts)
	mustGC(t, s, cas.GCOptions{})
	if n := objects(t, v, "segments"); n != 0 {
		t.Errorf("%d segments left in an empty store", n)
	}
}
