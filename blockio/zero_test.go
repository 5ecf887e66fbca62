package blockio_test

import (
	"fmt"
	"testing"

	"github.com/blockmill/blockmill/blockio"
)

func TestIsZero(t *testing.T) {
	t.Parallel()
	mem := make([]byte, 300)
	for n := range 200 {
		for from := range 8 {
			p := mem[from : from+n]
			if !blockio.IsZero(p) {
				t.Fatalf("%d zeros at %d: not zero", n, from)
			}
			// The neighbours do not count, each byte inside does.
			mem[from+n] = 1
			if from > 0 {
				mem[from-1] = 1
			}
			if !blockio.IsZero(p) {
				t.Fatalf("%d zeros at %d between others: not zero", n, from)
			}
			clear(mem)
			for i := range p {
				p[i] = 0x80
				if blockio.IsZero(p) {
					t.Fatalf("byte %d of %d is overlooked", i, n)
				}
				p[i] = 0
			}
		}
	}
}

func BenchmarkIsZero(b *testing.B) {
	for _, n := range []int{4 << 10, 64 << 10, 4 << 20} {
		b.Run(fmt.Sprintf("%dKiB", n>>10), func(b *testing.B) {
			p := make([]byte, n)
			b.SetBytes(int64(n))
			for b.Loop() {
				if !blockio.IsZero(p) {
					b.Fatal("not zero")
				}
			}
		})
	}
}
