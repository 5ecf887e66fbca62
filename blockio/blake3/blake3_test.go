package blake3_test

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"

	reference "github.com/zeebo/blake3"

	"github.com/blockmill/blockmill/blockio/blake3"
)

func random(n int) []byte {
	p := make([]byte, n)
	// A ChaCha8 never fails to read.
	_, _ = rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

// lengths are those around which the tree changes its shape, up to limit.
func lengths(limit int) []int {
	all := []int{0, 1, 3, 63, 64, 65, 127, 128, 129, 960, 961}
	for chunks := 1; chunks<<10 <= limit; chunks += 1 + chunks/40 {
		all = append(all, chunks<<10-1, chunks<<10, chunks<<10+1, chunks<<10+511)
	}
	return all
}

func TestSum256(t *testing.T) {
	p := random(2 << 20)
	for _, n := range lengths(len(p) - 512) {
		if got, want := blake3.Sum256(p[:n]), reference.Sum256(p[:n]); got != want {
			t.Errorf("%d bytes: %x, want %x", n, got, want)
		}
	}
}

// The digests are those that the algorithm's authors publish.
func TestKnownDigests(t *testing.T) {
	for text, want := range map[string]string{
		"":    "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
		"abc": "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
	} {
		sum := blake3.Sum256([]byte(text))
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestSumMany(t *testing.T) {
	p := random(1 << 20)
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 400 {
		var parts [][]byte
		for range rng.IntN(40) {
			n := rng.IntN(1 << rng.IntN(18+round%2))
			if rng.IntN(3) == 0 {
				n &^= 1023
			}
			off := rng.IntN(len(p) - n)
			parts = append(parts, p[off:off+n])
		}
		checkMany(t, parts)
	}
}

func checkMany(t *testing.T, parts [][]byte) {
	t.Helper()
	const guard = 3
	got := make([][32]byte, len(parts)+guard)
	blake3.SumMany(got, parts)
	for i, p := range parts {
		if want := reference.Sum256(p); got[i] != want {
			t.Fatalf("part %d of %d, %d bytes: %x, want %x", i, len(parts), len(p), got[i], want)
		}
	}
	if [guard][32]byte(got[len(parts):]) != [guard][32]byte{} {
		t.Fatal("wrote behind the last digest")
	}
}

func TestSumManyPanicsWithoutRoom(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic for one digest and two parts")
		}
	}()
	blake3.SumMany(make([][32]byte, 1), make([][]byte, 2))
}

func TestDoesNotAllocate(t *testing.T) {
	p := random(1 << 18)
	dst, parts := make([][32]byte, 3), [][]byte{p[:4096], p[:5000], p}
	// Under the race detector a pool drops one in four of what it is given: over many
	// rounds that stays below one allocation each.
	if n := testing.AllocsPerRun(500, func() {
		blake3.Sum256(p)
		blake3.Sum256(p[:8192])
		blake3.SumMany(dst, parts)
	}); n >= 1 {
		t.Errorf("%v allocations a round", n)
	}
}

func FuzzSum256(f *testing.F) {
	for _, n := range []int{0, 64, 1025, 8192, 20_000, 140_000} {
		f.Add(random(n))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if got, want := blake3.Sum256(p), reference.Sum256(p); got != want {
			t.Errorf("%d bytes: %x, want %x", len(p), got, want)
		}
	})
}

// FuzzSumMany takes the lengths of the parts from pairs of bytes, in steps of 8 bytes.
func FuzzSumMany(f *testing.F) {
	f.Add([]byte{0, 1, 0, 2, 4, 0, 0, 128, 1, 129, 255, 255})
	f.Add([]byte{128, 0, 128, 0, 128, 0, 0, 1})
	data := random(8 << 16)
	f.Fuzz(func(t *testing.T, sizes []byte) {
		var parts [][]byte
		for ; len(sizes) > 1 && len(parts) < 100; sizes = sizes[2:] {
			n := 8 * (int(sizes[0])<<8 | int(sizes[1]))
			parts = append(parts, data[len(data)-n:])
		}
		checkMany(t, parts)
	})
}

func ExampleSum256() {
	fmt.Printf("%x\n", blake3.Sum256([]byte("abc")))
	// Output: 6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85
}
