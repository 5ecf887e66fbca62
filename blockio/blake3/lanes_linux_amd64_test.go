package blake3

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// Chunks far into an input, whose numbers need more than 32 bits, are the same by lanes as one by one.
func TestLanesCountChunks(t *testing.T) {
	if !accelerated() {
		t.Skip("no AVX-512")
	}
	p := make([]byte, maxLanes*chunkSize)
	_, _ = rand.NewChaCha8([32]byte{}).Read(p)
	for _, counter := range []uint64{0, 1<<32 - 5, 1 << 32, 0x123456789abcdef0} {
		for _, n := range []int{1, 2, 7, 8, 9, 15, 16} {
			var l lanes
			var got [maxLanes]digest
			l.leaves()
			for i := range n {
				l.add(&p[i*chunkSize], counter+uint64(i), &got[i])
			}
			l.run()
			for i := range got {
				var want digest
				if i < n {
					want = chunk(p[i*chunkSize:(i+1)*chunkSize], counter+uint64(i), 0)
				}
				if got[i] != want {
					t.Errorf("chunk %d of %d from %#x: %x, want %x", i, n, counter, got[i], want)
				}
			}
		}
	}
}

// Nothing before or behind the input is read.
func TestStaysWithinItsInput(t *testing.T) {
	page := unix.Getpagesize()
	const size = 64 << 10
	p, err := unix.Mmap(-1, 0, page+size+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Munmap(p); err != nil {
			t.Error(err)
		}
	}()
	for _, border := range [][]byte{p[:page], p[page+size:]} {
		if err := unix.Mprotect(border, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	inner := p[page : page+size]
	for n := 0; n <= size; n += 1 + n/50 {
		behind, before := Sum256(inner[size-n:]), Sum256(inner[:n])
		if behind != before {
			t.Errorf("%d zeros differ by their place", n)
		}
	}
}
