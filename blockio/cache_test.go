package blockio_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
)

// source is a ReaderAt that notes what is read, and may wait or fail first.
type source struct {
	data   []byte
	before func(off int64, n int) error

	mu    sync.Mutex
	reads [][2]int64 // offset and length
}

func (s *source) ReadAt(p []byte, off int64) (int, error) {
	s.mu.Lock()
	s.reads = append(s.reads, [2]int64{off, int64(len(p))})
	s.mu.Unlock()
	if s.before != nil {
		if err := s.before(off, len(p)); err != nil {
			return 0, err
		}
	}
	return bytes.NewReader(s.data).ReadAt(p, off)
}

func (s *source) take() [][2]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	reads := s.reads
	s.reads = nil
	return reads
}

func randomBytes(n int, seed uint64) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed)}).Read(p)
	return p
}

const cacheBlock = 8 << 10

func newCache(t *testing.T, src *source, limit int64, blocks int) (*blockio.Cache, *blockio.Arena) {
	t.Helper()
	a := blockio.NewArena(limit)
	c := blockio.NewCache(src, int64(len(src.data)), a, blockio.CacheOptions{BlockSize: cacheBlock, MaxBlocks: blocks})
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if got := a.InUse(); got != 0 {
			t.Errorf("%d bytes in use after Close", got)
		}
	})
	return c, a
}

func wantRead(t *testing.T, r io.ReaderAt, data []byte, off, n int) {
	t.Helper()
	got := make([]byte, n)
	m, err := r.ReadAt(got, int64(off))
	want := data[min(off, len(data)):min(off+n, len(data))]
	if m != len(want) || m < n && err != io.EOF || m == n && err != nil && err != io.EOF {
		t.Fatalf("read %d at %d: %d, %v", n, off, m, err)
	}
	if !bytes.Equal(got[:m], want) {
		t.Fatalf("read %d at %d: wrong bytes", n, off)
	}
}

func TestCacheReads(t *testing.T) {
	t.Parallel()
	src := &source{data: randomBytes(5*cacheBlock+100, 1)}
	for _, c := range []struct {
		name  string
		reads [][2]int   // what is asked
		want  [][2]int64 // what the source is asked for it
	}{
		{"a block once", [][2]int{{10, 20}, {100, 50}, {0, 8}}, [][2]int64{{0, cacheBlock}}},
		{
			"across two blocks",
			[][2]int{{cacheBlock - 1, 2}, {5, 5}},
			[][2]int64{{0, cacheBlock}, {cacheBlock, cacheBlock}},
		},
		{"whole blocks past the cache", [][2]int{{0, 3 * cacheBlock}}, [][2]int64{{0, 3 * cacheBlock}}},
		{
			"whole blocks around a cached one",
			[][2]int{{cacheBlock, 1}, {0, 4 * cacheBlock}},
			[][2]int64{{cacheBlock, cacheBlock}, {0, cacheBlock}, {2 * cacheBlock, 2 * cacheBlock}},
		},
		{
			"edges from the cache",
			[][2]int{{0, 1}, {cacheBlock - 1, cacheBlock + 2}},
			[][2]int64{{0, cacheBlock}, {cacheBlock, cacheBlock + 1}},
		},
		{"the last block", [][2]int{{5*cacheBlock + 50, 10}, {5*cacheBlock + 99, 9}}, [][2]int64{{5 * cacheBlock, 100}}},
		{"to the end", [][2]int{{4 * cacheBlock, 2 * cacheBlock}}, [][2]int64{{4 * cacheBlock, cacheBlock + 100}}},
		{"past the end", [][2]int{{6 * cacheBlock, 1}, {5*cacheBlock + 100, 1}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			src.take()
			cache, _ := newCache(t, src, 1<<20, 4)
			for _, r := range c.reads {
				wantRead(t, cache, src.data, r[0], r[1])
			}
			if diff := cmp.Diff(c.want, src.take()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCacheEvicts(t *testing.T) {
	t.Parallel()
	src := &source{data: randomBytes(64*cacheBlock, 2)}
	cache, a := newCache(t, src, 1<<20, 4)
	for i := range 64 {
		wantRead(t, cache, src.data, i*cacheBlock+3, 10)
		if got := a.InUse(); got > 4*cacheBlock {
			t.Fatalf("%d bytes in use", got)
		}
	}
	if n := len(src.take()); n != 64 {
		t.Errorf("%d reads", n)
	}
	wantRead(t, cache, src.data, 63*cacheBlock, 10)
	if reads := src.take(); reads != nil {
		t.Errorf("the block used last was dropped: %v", reads)
	}
}

// TestCacheKeepsUsed shows that a block in use outlives a scan of the others.
func TestCacheKeepsUsed(t *testing.T) {
	t.Parallel()
	src := &source{data: randomBytes(64*cacheBlock, 2)}
	cache, _ := newCache(t, src, 1<<20, 4)
	for i := range 64 {
		wantRead(t, cache, src.data, 5, 10)
		wantRead(t, cache, src.data, i*cacheBlock+3, 10)
	}
	first := 0
	for _, r := range src.take() {
		if r[0] == 0 {
			first++
		}
	}
	if first > 1 {
		t.Errorf("the block that was used all the time was read %d times", first)
	}
}

func TestCacheSingleFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		src := &source{data: randomBytes(cacheBlock, 3), before: func(int64, int) error { <-hold; return nil }}
		cache, _ := newCache(t, src, 1<<20, 4)
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() { wantRead(t, cache, src.data, 100*i, 100) })
		}
		synctest.Wait()
		close(hold)
		wg.Wait()
		if diff := cmp.Diff([][2]int64{{0, cacheBlock}}, src.take()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCacheErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	fail := true
	src := &source{data: randomBytes(2*cacheBlock, 4), before: func(int64, int) error {
		if fail {
			return broken
		}
		return nil
	}}
	cache, _ := newCache(t, src, 1<<20, 4)
	for _, n := range []int{10, cacheBlock} {
		if _, err := cache.ReadAt(make([]byte, n), 0); !errors.Is(err, broken) {
			t.Errorf("read of a broken source: %v", err)
		}
	}
	if _, err := cache.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("read at -1: no error")
	}
	fail = false
	wantRead(t, cache, src.data, 0, 10)

	short := blockio.NewCache(src, 3*cacheBlock, blockio.NewArena(1<<20), blockio.CacheOptions{BlockSize: cacheBlock})
	for _, n := range []int{10, cacheBlock} {
		if _, err := short.ReadAt(make([]byte, n), 2*cacheBlock); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("read of a source that is shorter than said: %v", err)
		}
	}
	if err := short.Close(); err != nil {
		t.Error(err)
	}
	if _, err := short.ReadAt(make([]byte, 10), 0); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("read after Close: %v", err)
	}
}

// TestCacheWithoutMemory shows that reads go on when the arena is full.
func TestCacheWithoutMemory(t *testing.T) {
	t.Parallel()
	src := &source{data: randomBytes(4*cacheBlock, 5)}
	cache, a := newCache(t, src, 16<<10, 4)
	held := mustGet(t, a, 16<<10)
	wantRead(t, cache, src.data, 10, 20)
	wantRead(t, cache, src.data, cacheBlock-5, 10)
	want := [][2]int64{{10, 20}, {cacheBlock - 5, 5}, {cacheBlock, 5}}
	if diff := cmp.Diff(want, src.take()); diff != "" {
		t.Error(diff)
	}
	held.Release()
	wantRead(t, cache, src.data, 10, 20)
	wantRead(t, cache, src.data, 50, 20)
	if diff := cmp.Diff([][2]int64{{0, cacheBlock}}, src.take()); diff != "" {
		t.Error(diff)
	}
}

// TestCacheShortBlocks keeps blocks of a sector, which take a block of the arena
// each, and gives up as many as others need.
func TestCacheShortBlocks(t *testing.T) {
	const sector, blocks = 512, 8
	src := &source{data: randomBytes(100*sector+10, 1)}
	arena := blockio.NewArena(4 * blocks * blockio.BlockSize)
	c := blockio.NewCache(src, int64(len(src.data)), arena, blockio.CacheOptions{BlockSize: sector})
	t.Cleanup(func() { _ = c.Close() }) // it never fails
	for i := range 2 * blocks {
		wantRead(t, c, src.data, i*3*sector+10, 4)
	}
	for _, r := range src.take() {
		if r[0]%(3*sector) != 0 || r[1] != sector {
			t.Errorf("%d bytes were read at %d, want sectors", r[1], r[0])
		}
	}
	if got := arena.InUse(); got != blocks*blockio.BlockSize {
		t.Errorf("%d bytes in use, want a quarter of the arena", got)
	}
	for _, n := range []int{2 * blocks, blocks, blocks / 2} {
		buf, err := arena.Get(t.Context(), n*blockio.BlockSize)
		if err != nil {
			t.Fatal(err)
		}
		defer buf.Release()
	}
	if got := arena.InUse(); got != arena.Limit() {
		t.Errorf("%d bytes in use, want all: only what others need is given up", got)
	}
	wantRead(t, c, src.data, 100*sector, 100)
}

// TestCacheYields shows that a cache that has filled the arena gives it up to
// those who wait for it, blocks being read included.
// TestCacheOfTheLargest reads to the end of the largest source that there can be,
// from blocks and without memory.
func TestCacheOfTheLargest(t *testing.T) {
	t.Parallel()
	const size = math.MaxInt64
	for name, arena := range map[string]*blockio.Arena{
		"blocks": blockio.NewArena(1 << 20), "no memory": blockio.NewArena(blockio.BlockSize),
	} {
		c := blockio.NewCache(offsets{}, size, arena, blockio.CacheOptions{BlockSize: cacheBlock, MaxBlocks: 8, ReadAhead: 4})
		for off := int64(size - 5*cacheBlock); off < size-64; off += cacheBlock / 2 {
			p := make([]byte, 64)
			if n, err := c.ReadAt(p, off); n != len(p) || err != nil || p[63] != byte(off+63) {
				t.Errorf("%s: read at %d: %d bytes, %v, ends with %d", name, off, n, err, p[63])
			}
		}
		p := make([]byte, 64)
		if n, err := c.ReadAt(p, size-10); n != 10 || err != io.EOF {
			t.Errorf("%s: read at the end: %d bytes, %v", name, n, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// offsets is a source whose bytes tell their offsets.
type offsets struct{}

func (offsets) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		p[i] = byte(off + int64(i))
	}
	return len(p), nil
}

func TestCacheYields(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		src := &source{data: randomBytes(4*cacheBlock, 6), before: func(off int64, _ int) error {
			if off == 3*cacheBlock {
				<-hold
			}
			return nil
		}}
		cache, a := newCache(t, src, 4*cacheBlock, 100)
		for i := range 3 {
			wantRead(t, cache, src.data, i*cacheBlock, 1)
		}
		var wg sync.WaitGroup
		wg.Go(func() { wantRead(t, cache, src.data, 3*cacheBlock, 1) })
		synctest.Wait()
		if got := a.InUse(); got != 4*cacheBlock {
			t.Fatalf("%d bytes in use, want a full arena", got)
		}
		wg.Go(func() { mustGet(t, a, 4*cacheBlock).Release() })
		synctest.Wait()
		close(hold)
		wg.Wait()
		wantRead(t, cache, src.data, 0, 100)
	})
}

func TestCacheConcurrent(t *testing.T) {
	t.Parallel()
	src := &source{data: randomBytes(40*cacheBlock+77, 7)}
	cache, a := newCache(t, src, 16*cacheBlock, 8)
	var wg sync.WaitGroup
	for seed := range uint64(8) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 0))
			for i := range 300 {
				off := rng.IntN(len(src.data))
				wantRead(t, cache, src.data, off, 1+rng.IntN(4*cacheBlock))
				if i%10 == 0 {
					mustGet(t, a, 8*cacheBlock).Release()
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkCache(b *testing.B) {
	src := bytes.NewReader(make([]byte, 64<<20))
	c := blockio.NewCache(src, src.Size(), blockio.NewArena(256<<20), blockio.CacheOptions{})
	defer c.Close()
	b.Run("Hit4KiB", func(b *testing.B) {
		b.SetBytes(4 << 10)
		b.RunParallel(func(pb *testing.PB) {
			p := make([]byte, 4<<10)
			rng := rand.New(rand.NewPCG(1, 0))
			for pb.Next() {
				if _, err := c.ReadAt(p, rng.Int64N(src.Size()-4096)); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	b.Run("Sequential64KiB", func(b *testing.B) {
		p := make([]byte, 64<<10)
		b.SetBytes(int64(len(p)))
		var off int64
		for b.Loop() {
			if _, err := c.ReadAt(p, off%src.Size()); err != nil {
				b.Fatal(err)
			}
			off += int64(len(p))
		}
	})
}
