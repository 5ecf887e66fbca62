package blockio_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"unsafe"

	"github.com/blockmill/blockmill/blockio"
)

func mustGet(t *testing.T, a *blockio.Arena, n int) *blockio.Buffer {
	t.Helper()
	b, err := a.Get(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantPanic(t *testing.T, act string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", act)
		}
	}()
	f()
}

func TestArenaClasses(t *testing.T) {
	t.Parallel()
	a := blockio.NewArena(1 << 30)
	for _, c := range []struct {
		n     int
		class int64
	}{
		{0, 4 << 10},
		{1, 4 << 10},
		{4096, 4 << 10},
		{4097, 8 << 10},
		{8192, 8 << 10},
		{8193, 16 << 10},
		{100_000, 128 << 10},
		{4 << 20, 4 << 20},
		{4<<20 + 1, 8 << 20},
	} {
		b := mustGet(t, a, c.n)
		if got := a.InUse(); got != c.class {
			t.Errorf("%d bytes are accounted as %d, want %d", c.n, got, c.class)
		}
		p := b.Bytes()
		if len(p) != c.n {
			t.Errorf("%d bytes asked for, %d given", c.n, len(p))
		}
		if addr := uintptr(unsafe.Pointer(unsafe.SliceData(p))); addr%blockio.BlockSize != 0 {
			t.Errorf("%d bytes at %#x: not aligned", c.n, addr)
		}
		for i := range p {
			p[i] = 0xff
		}
		b.Release()
	}
	if got := a.InUse(); got != 0 {
		t.Errorf("%d bytes in use after all releases", got)
	}
}

func TestArenaReuses(t *testing.T) {
	t.Parallel()
	a := blockio.NewArena(1 << 20)
	b := mustGet(t, a, 8192)
	first := unsafe.SliceData(b.Bytes())
	b.Release()
	b = mustGet(t, a, 5000)
	defer b.Release()
	if unsafe.SliceData(b.Bytes()) != first {
		t.Error("released memory is not used again")
	}
}

func TestArenaLimit(t *testing.T) {
	t.Parallel()
	a := blockio.NewArena(64 << 10)
	if a.Limit() != 64<<10 {
		t.Errorf("limit %d", a.Limit())
	}
	if _, err := a.Get(t.Context(), 64<<10+1); err == nil {
		t.Error("more than the limit: no error")
	}
	if a.TryGet(64<<10+1) != nil {
		t.Error("more than the limit: a buffer")
	}
	b := a.TryGet(33 << 10) // a class of 64 KiB
	if b == nil {
		t.Fatal("no buffer from an empty arena")
	}
	if a.TryGet(1) != nil {
		t.Error("a buffer from a full arena")
	}
	b.Release()
	if b = a.TryGet(1); b == nil {
		t.Fatal("no buffer after the release")
	}
	b.Release()
}

func TestBufferMisuse(t *testing.T) {
	t.Parallel()
	a := blockio.NewArena(1 << 20)
	b := mustGet(t, a, 1)
	b.Release()
	wantPanic(t, "second release", b.Release)
	wantPanic(t, "use after release", func() { b.Bytes() })
	wantPanic(t, "negative size", func() { a.TryGet(-1) })
	if got := a.InUse(); got != 0 {
		t.Errorf("%d bytes in use after misuse", got)
	}
}

// TestArenaIdle shows that idle memory is capped, and goes when others need
// room.
func TestArenaIdle(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	a := blockio.NewArena(limit)
	var held []*blockio.Buffer
	for range 16 {
		held = append(held, mustGet(t, a, 4<<10))
	}
	for _, b := range held {
		b.Release()
	}
	if idle := a.Idle(); idle != limit/2 {
		t.Errorf("%d bytes idle, want %d", idle, limit/2)
	}
	b := mustGet(t, a, limit/2+1)
	defer b.Release()
	if idle := a.Idle(); idle != 0 {
		t.Errorf("%d bytes idle beside a full arena", idle)
	}
}

// TestArenaFair shows that nobody passes a caller that waits, however little
// they ask for.
func TestArenaFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := blockio.NewArena(16 << 10)
		small := mustGet(t, a, 4<<10)
		rest := mustGet(t, a, 8<<10)
		var order []int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i, n := range []int{16 << 10, 4 << 10, 8 << 10} {
			wg.Go(func() {
				b := mustGet(t, a, n)
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				b.Release()
			})
			synctest.Wait() // so that they queue in this order
		}
		if a.TryGet(4<<10) != nil {
			t.Error("TryGet passed those who wait")
		}
		rest.Release()
		synctest.Wait()
		if len(order) != 0 {
			t.Errorf("%v passed the first, who still lacks room", order)
		}
		small.Release()
		wg.Wait()
		if len(order) != 3 || order[0] != 0 {
			t.Errorf("served in the order %v", order)
		}
	})
}

// Whoever waits gets the memory that is released, and no new.
func TestArenaHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 4 * blockio.BlockSize
		a := blockio.NewArena(2 * size)
		first, second := mustGet(t, a, size), mustGet(t, a, size)
		first.Bytes()[0] = 7
		var ended sync.WaitGroup
		ended.Go(func() {
			b, err := a.Get(t.Context(), size)
			if err != nil {
				t.Error(err)
				return
			}
			if b.Bytes()[0] != 7 {
				t.Error("the memory was given back to the system, and more was taken from it")
			}
			b.Release()
		})
		synctest.Wait()
		first.Release()
		ended.Wait()
		second.Release()
	})
}

func TestArenaCancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := blockio.NewArena(16 << 10)
		held := mustGet(t, a, 12<<10) // class of 16 KiB
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := a.Get(ctx, 16<<10); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled Get: %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() { mustGet(t, a, 4<<10).Release() })
		synctest.Wait()
		cancel()
		synctest.Wait()
		held.Release()
		wg.Wait()
		if _, err := a.Get(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("Get with a cancelled context: %v", err)
		}
		if got := a.InUse(); got != 0 {
			t.Errorf("%d bytes in use", got)
		}
	})
}

// TestArenaCancelFirst shows that a waiter that gives up lets the next one in.
func TestArenaCancelFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := blockio.NewArena(16 << 10)
		held := mustGet(t, a, 8<<10)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = a.Get(ctx, 16<<10) })
		synctest.Wait()
		wg.Go(func() { mustGet(t, a, 8<<10).Release() })
		synctest.Wait()
		cancel()
		wg.Wait() // the second had room all the time
		held.Release()
	})
}

func TestArenaConcurrent(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	a := blockio.NewArena(limit)
	var held atomic.Int64
	var wg sync.WaitGroup
	for seed := range uint64(8) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 0))
			for i := range 500 {
				n := 1 + rng.IntN(300<<10)
				var b *blockio.Buffer
				if i%3 == 0 {
					b = a.TryGet(n)
				} else {
					b = mustGet(t, a, n)
				}
				if b == nil {
					continue
				}
				if now := held.Add(int64(n)); now > limit {
					t.Errorf("%d bytes held", now)
				}
				p := b.Bytes()
				p[0], p[n-1] = byte(seed), byte(seed)
				if p[0] != byte(seed) || p[n-1] != byte(seed) {
					t.Error("shared with another")
				}
				held.Add(-int64(n))
				b.Release()
			}
		})
	}
	wg.Wait()
	if got := a.InUse(); got != 0 {
		t.Errorf("%d bytes in use", got)
	}
	if idle := a.Idle(); idle > limit/2 {
		t.Errorf("%d bytes idle", idle)
	}
}

func BenchmarkArena(b *testing.B) {
	for _, c := range []struct {
		name string
		n    int
	}{{"4KiB", 4 << 10}, {"4MiB", 4 << 20}} {
		b.Run(c.name, func(b *testing.B) {
			a := blockio.NewArena(256 << 20)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					buf, err := a.Get(b.Context(), c.n)
					if err != nil {
						b.Fatal(err)
					}
					buf.Bytes()[0]++
					buf.Release()
				}
			})
		})
	}
}

// Memory that is kept for reuse is not the collector's, and yet goes with its
// arena.
func TestArenaIsForgotten(t *testing.T) {
	const size, arenas = 8 << 20, 64
	before := mapped(t)
	for range arenas {
		b, err := blockio.NewArena(2*size).Get(t.Context(), size)
		if err != nil {
			t.Fatal(err)
		}
		b.Release()
	}
	for range 100 {
		runtime.GC()
		if mapped(t) < before+arenas*size/4 {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("%d MiB are mapped for arenas that are gone", (mapped(t)-before)>>20)
}

// mapped is how much memory the process has mapped, in bytes.
func mapped(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var pages int
	if _, err := fmt.Sscan(string(text), &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
