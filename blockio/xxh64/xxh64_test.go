package xxh64

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cespare/xxhash/v2"
)

func random(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

func checkMany(t *testing.T, parts [][]byte) {
	t.Helper()
	got := make([]uint64, len(parts)+1)
	got[len(parts)] = 7
	SumMany(got, parts)
	for i, p := range parts {
		if want := xxhash.Sum64(p); got[i] != want {
			t.Fatalf("part %d of %d, %d bytes: %016x, want %016x", i, len(parts), len(p), got[i], want)
		}
	}
	if got[len(parts)] != 7 {
		t.Fatalf("%d parts: more was written", len(parts))
	}
}

// Every length gives the reference's value, at any alignment, in every number of
// lanes, beside others of its length and of any other.
func TestSumMany(t *testing.T) {
	p := random(64 << 10)
	for count := range 20 {
		for n := range 400 {
			var same, mixed [][]byte
			for i := range count {
				same = append(same, p[i*13:][:n])
				mixed = append(mixed, p[i*13:][:(n*(i*i+1))%(40<<10)])
			}
			checkMany(t, same)
			checkMany(t, mixed)
		}
	}
	var all [][]byte
	for n := range 2048 {
		all = append(all, p[n:2*n])
	}
	checkMany(t, all)
}

func FuzzSumMany(f *testing.F) {
	f.Add(random(3000), uint64(1))
	f.Add([]byte{}, uint64(0))
	f.Fuzz(func(t *testing.T, p []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		parts := make([][]byte, r.IntN(30))
		for i := range parts {
			from := r.IntN(len(p) + 1)
			parts[i] = p[from : from+r.IntN(len(p)-from+1)]
		}
		checkMany(t, parts)
	})
}

func BenchmarkSumMany(b *testing.B) {
	for _, hash := range []struct {
		name string
		sum  func(dst []uint64, parts [][]byte)
	}{{"many", SumMany}, {"cespare", func(dst []uint64, parts [][]byte) {
		for i, p := range parts {
			dst[i] = xxhash.Sum64(p)
		}
	}}} {
		for _, size := range []int{4 << 10, 36 << 10, 64 << 10} {
			for _, count := range []int{1, 4, 8, 64} {
				b.Run(fmt.Sprintf("hash=%s/size=%d/count=%d", hash.name, size, count), func(b *testing.B) {
					p := random(size * count)
					parts, dst := make([][]byte, count), make([]uint64, count)
					for i := range parts {
						parts[i] = p[i*size : (i+1)*size]
					}
					b.SetBytes(int64(len(p)))
					for b.Loop() {
						hash.sum(dst, parts)
					}
				})
			}
		}
	}
}
