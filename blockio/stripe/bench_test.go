package stripe_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// Objects of the benchmarks are like the segments of a store: written in pieces
// of 4 MiB by pieceParallel callers, objectsParallel objects at a time.
const (
	benchObject     = 64 << 20
	benchObjects    = 8
	pieceParallel   = 2
	objectsParallel = 2
)

// benchDirs opens a stripe over directories of one disk: of BENCH_DIR, or of the
// temporary directory.
func benchDirs(b *testing.B, k, m int) []blockio.Volume {
	b.Helper()
	root, err := os.MkdirTemp(os.Getenv("BENCH_DIR"), "stripe")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(root) })
	var shards []blockio.Volume
	for i := range k + m {
		dir := filepath.Join(root, fmt.Sprint(i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			b.Fatal(err)
		}
		v, err := blockio.NewDirVolume(dir, blockio.DirVolumeOptions{})
		if err != nil {
			b.Fatal(err)
		}
		shards = append(shards, v)
	}
	if err := stripe.Init(b.Context(), shards, stripe.Options{K: k, M: m}); err != nil {
		b.Fatal(err)
	}
	return shards
}

func benchOpen(b *testing.B, shards []blockio.Volume, arena *blockio.Arena) *stripe.Volume {
	b.Helper()
	v, err := stripe.Open(b.Context(), shards, stripe.Options{Arena: arena})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := v.Close(b.Context()); err != nil {
			b.Error(err)
		}
	})
	return v
}

// source is a buffer of random bytes that benchmarks write again and again.
func source(b *testing.B, arena *blockio.Arena) []byte {
	b.Helper()
	buf, err := arena.Get(b.Context(), 16<<20)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(buf.Release)
	copy(buf.Bytes(), pattern(16<<20, 1))
	return buf.Bytes()
}

func writeLarge(ctx context.Context, v blockio.Volume, name string, src []byte) error {
	w, err := v.Create(ctx, name)
	if err != nil {
		return err
	}
	piece := max(w.Unit(), 4<<20)
	var g errgroup.Group
	g.SetLimit(pieceParallel)
	for off := 0; off < benchObject; off += piece {
		g.Go(func() error {
			_, err := w.WriteAt(src[:piece], int64(off))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return w.Commit(ctx, benchObject)
}

// writeObjects writes the objects that are to be read.
func writeObjects(b *testing.B, v blockio.Volume, src []byte) {
	b.Helper()
	for i := range benchObjects {
		if err := writeLarge(b.Context(), v, fmt.Sprintf("seg/%d", i), src); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWrite writes and commits objects, and compares a bare directory, one
// shard, and stripes over directories of the same disk.
func BenchmarkWrite(b *testing.B) {
	for _, c := range []struct{ k, m int }{{0, 0}, {1, 0}, {2, 1}, {4, 2}, {8, 3}} {
		b.Run(fmt.Sprintf("%d+%d", c.k, c.m), func(b *testing.B) {
			arena := blockio.NewArena(256 << 20)
			src := source(b, arena)
			shards := benchDirs(b, max(1, c.k), c.m)
			v := shards[0]
			if c.k > 0 {
				v = benchOpen(b, shards, arena)
			}
			b.SetBytes(benchObject * benchObjects)
			n := 0
			for b.Loop() {
				var g errgroup.Group
				g.SetLimit(objectsParallel)
				for range benchObjects {
					n++
					name := fmt.Sprintf("seg/%d", n)
					g.Go(func() error { return writeLarge(b.Context(), v, name, src) })
				}
				if err := g.Wait(); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				for i := range benchObjects {
					if err := v.Remove(b.Context(), fmt.Sprintf("seg/%d", n-i)); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkRead reads objects with all shards, and with two gone.
func BenchmarkRead(b *testing.B) {
	for _, c := range []struct {
		k, m int
		gone []int
	}{{0, 0, nil}, {1, 0, nil}, {4, 2, nil}, {4, 2, []int{4, 5}}, {4, 2, []int{0, 5}}, {4, 2, []int{0, 1}}} {
		for _, piece := range []int{64 << 10, 1 << 20, 4 << 20} {
			b.Run(fmt.Sprintf("%d+%d/gone=%v/%dK", c.k, c.m, c.gone, piece>>10), func(b *testing.B) {
				benchRead(b, c.k, c.m, c.gone, piece)
			})
		}
	}
}

func benchRead(b *testing.B, k, m int, gone []int, piece int) {
	arena := blockio.NewArena(256 << 20)
	src := source(b, arena)
	shards := benchDirs(b, max(1, k), m)
	v := shards[0]
	if k > 0 {
		v = benchOpen(b, shards, arena)
	}
	writeObjects(b, v, src)
	if k > 0 {
		for _, i := range gone {
			shards[i] = nil
		}
		v = benchOpen(b, shards, arena)
	}
	b.SetBytes(benchObject * benchObjects)
	for b.Loop() {
		for i := range benchObjects {
			readLarge(b, v, fmt.Sprintf("seg/%d", i), arena, piece)
		}
	}
}

func readLarge(b *testing.B, v blockio.Volume, name string, arena *blockio.Arena, piece int) {
	b.Helper()
	o, err := v.Open(b.Context(), name)
	if err != nil {
		b.Fatal(err)
	}
	defer o.Close()
	var g errgroup.Group
	g.SetLimit(pieceParallel)
	for off := 0; off < benchObject; off += piece {
		g.Go(func() error {
			buf, err := arena.Get(b.Context(), piece)
			if err != nil {
				return err
			}
			defer buf.Release()
			_, err = o.ReadAt(buf.Bytes(), int64(off))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkScrub checks objects on disk.
func BenchmarkScrub(b *testing.B) {
	for _, c := range []struct{ k, m int }{{1, 0}, {4, 2}} {
		b.Run(fmt.Sprintf("%d+%d", c.k, c.m), func(b *testing.B) {
			arena := blockio.NewArena(256 << 20)
			src := source(b, arena)
			v := benchOpen(b, benchDirs(b, c.k, c.m), arena)
			writeObjects(b, v, src)
			b.SetBytes(benchObject * benchObjects * int64(c.k+c.m) / int64(c.k))
			for b.Loop() {
				if r := scrub(b, v, stripe.ScrubOptions{}); !r.Clean() {
					b.Fatal(r)
				}
			}
		})
	}
}

// BenchmarkSmall writes and removes small objects, as records are.
func BenchmarkSmall(b *testing.B) {
	for _, c := range []struct{ k, m int }{{0, 0}, {1, 0}, {4, 2}} {
		b.Run(fmt.Sprintf("%d+%d", c.k, c.m), func(b *testing.B) {
			shards := benchDirs(b, max(1, c.k), c.m)
			v := shards[0]
			if c.k > 0 {
				v = benchOpen(b, shards, nil)
			}
			for b.Loop() {
				if err := blockio.WriteObject(b.Context(), v, "rec/a", make([]byte, 300)); err != nil {
					b.Fatal(err)
				}
				if err := v.Remove(b.Context(), "rec/a"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
