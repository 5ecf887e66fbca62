// Package xxh64 hashes many inputs at a time by the 64-bit xxHash with the seed 0
// (XXH64 of the xxHash specification, version 0.1.1). The values are those of
// github.com/cespare/xxhash/v2, which one input is left to.
package xxh64

import "github.com/cespare/xxhash/v2"

// SumMany sets dst[i] to the hash of parts[i]. It is faster than one after the
// other on processors with AVX-512: a product waits for the one before it, and
// eight inputs do not wait for each other. Dst must be at least as long as
// parts.
func SumMany(dst []uint64, parts [][]byte) {
	dst = dst[:len(parts)]
	if len(parts) >= fewest && accelerated() {
		sumMany(dst, parts)
		return
	}
	for i, p := range parts {
		dst[i] = xxhash.Sum64(p)
	}
}

// fewest is the number of inputs from which on lanes gain.
const fewest = 4

// Lanes is the number of inputs that SumMany hashes best at a time: 1 where it takes
// one after the other.
func Lanes() int {
	if accelerated() {
		return MaxLanes
	}
	return 1
}

// MaxLanes is the most that Lanes can be.
const MaxLanes = 8
