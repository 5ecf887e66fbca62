package cas_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
)

// countReads counts the reads of segments from now on.
func countReads(v *blockiotest.MemVolume) *atomic.Int64 {
	n := new(atomic.Int64)
	v.Inject(blockiotest.Fault{Ops: blockiotest.OpRead, N: 1 << 60, Match: func(op blockiotest.Op) bool {
		if strings.HasPrefix(op.Name, "segments/") {
			n.Add(1)
		}
		return false
	}})
	return n
}

// openGuest stores p and opens it.
func openGuest(t *testing.T, opts cas.Options, p []byte) *cas.Image {
	t.Helper()
	s := newStore(t, opts)
	info, err := put(t.Context(), s, "a", p)
	if err != nil {
		t.Fatal(err)
	}
	im, err := s.OpenImage(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = im.Close() })
	return im
}

// wantBlock reads 4 KiB and compares.
func wantBlock(t *testing.T, im *cas.Image, p []byte, off int64) {
	t.Helper()
	got := make([]byte, 4<<10)
	if _, err := im.ReadAt(got, off); err != nil {
		t.Error(err)
	} else if !bytes.Equal(got, p[off:off+4<<10]) {
		t.Errorf("the block at %d differs", off)
	}
}

// The blocks of a chunk are one read and one decoding, however many ask for them
// at a time.
func TestSmallReads(t *testing.T) {
	v := blockiotest.NewMemVolume()
	p := prose(cas.WindowSize, 1)
	im := openGuest(t, testOptions(v, t.TempDir()), p)
	wantBlock(t, im, p, 0) // opens the segment and reads the manifest
	wantBlock(t, im, p, 2<<20)
	n := countReads(v)
	wantBlock(t, im, p, 0)
	if n.Load() != 0 {
		t.Errorf("%d reads of what was read before", n.Load())
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { wantBlock(t, im, p, 1<<20) })
	}
	wg.Wait()
	if n.Load() != 1 {
		t.Errorf("%d reads of one chunk by 16 readers, want 1", n.Load())
	}
}

// Without room for any chunk every read goes to the volume.
func TestSmallReadsUncached(t *testing.T) {
	v := blockiotest.NewMemVolume()
	p := prose(cas.WindowSize, 1)
	opts := testOptions(v, t.TempDir())
	opts.CacheMemory = -1
	im := openGuest(t, opts, p)
	wantBlock(t, im, p, 0)
	n := countReads(v)
	wantBlock(t, im, p, 0)
	if n.Load() != 1 {
		t.Errorf("%d reads, want 1", n.Load())
	}
}

// The cache keeps to its bound, and gives way to whoever waits for the arena.
func TestSmallReadsMemory(t *testing.T) {
	arena := blockio.NewArena(32 << 20)
	opts := testOptions(blockiotest.NewMemVolume(), t.TempDir())
	opts.Arena = arena
	p := prose(16*cas.WindowSize, 1)
	im := openGuest(t, opts, p)
	wantBlock(t, im, p, 0)
	before := arena.InUse()
	for off := 0; off < len(p); off += 32 << 10 {
		wantBlock(t, im, p, int64(off))
	}
	cached := arena.InUse() - before
	if cached < 4<<20 || cached > 8<<20 {
		t.Errorf("%d bytes are cached, want up to a quarter of 32 MiB", cached)
	}
	// No free bytes are left, but for those that cached chunks take.
	buf, err := arena.Get(t.Context(), 16<<20)
	if err != nil {
		t.Fatal(err)
	}
	rest, err := arena.Get(t.Context(), int(arena.Limit()-arena.InUse()+cached/2)&^(1<<20-1)&(7<<20))
	if err != nil {
		t.Fatal(err)
	}
	wantBlock(t, im, p, 1<<20)
	rest.Release()
	buf.Release()
}

// A read that fails leaves nothing behind, and does not keep others waiting.
func TestSmallReadsFail(t *testing.T) {
	v := blockiotest.NewMemVolume()
	p := prose(cas.WindowSize, 1)
	im := openGuest(t, testOptions(v, t.TempDir()), p)
	wantBlock(t, im, p, 2<<20)
	v.Inject(blockiotest.Fault{Ops: blockiotest.OpRead, N: 1, Sticky: true})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := im.ReadAt(make([]byte, 4<<10), 0); !errors.Is(err, blockiotest.ErrInjected) {
				t.Errorf("read: %v, want the injected error", err)
			}
		})
	}
	wg.Wait()
	v.ClearFaults()
	wantBlock(t, im, p, 0)
}

// Reads of any length at any place, many at a time and with a cache that holds
// little, give the image's bytes.
func TestSmallReadsAnywhere(t *testing.T) {
	opts := testOptions(blockiotest.NewMemVolume(), t.TempDir())
	opts.CacheMemory = 4 << 20
	p := guest(3*cas.WindowSize+5000, 3)
	copy(p[cas.WindowSize:], p[:cas.WindowSize/2]) // chunks that are there twice
	im := openGuest(t, opts, p)
	var wg sync.WaitGroup
	for seed := range uint64(8) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 2))
			for range 300 {
				off := rng.IntN(len(p))
				n := min(1+rng.IntN(1<<(8+rng.IntN(14))), len(p)-off)
				got := make([]byte, n)
				if _, err := im.ReadAt(got, int64(off)); err != nil {
					t.Error(err)
				} else if !bytes.Equal(got, p[off:off+n]) {
					t.Errorf("%d bytes at %d differ", n, off)
				}
			}
		})
	}
	wg.Wait()
}
