package blake3_test

import (
	"fmt"
	"testing"

	reference "github.com/zeebo/blake3"

	"github.com/blockmill/blockmill/blockio/blake3"
)

func BenchmarkSum256(b *testing.B) {
	for _, size := range []int{1 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 1 << 20} {
		p := random(size)
		for name, sum := range map[string]func([]byte) [32]byte{"own": blake3.Sum256, "zeebo": reference.Sum256} {
			b.Run(fmt.Sprintf("size=%d/hash=%s", size, name), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					sum(p)
				}
			})
		}
	}
}

// BenchmarkSumMany hashes 1 MiB cut into equal parts.
func BenchmarkSumMany(b *testing.B) {
	p := random(1 << 20)
	for _, size := range []int{2 << 10, 4 << 10, 8 << 10, 16 << 10, 64 << 10} {
		var parts [][]byte
		for off := 0; off < len(p); off += size {
			parts = append(parts, p[off:off+size])
		}
		dst := make([][32]byte, len(parts))
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				blake3.SumMany(dst, parts)
			}
		})
	}
}
