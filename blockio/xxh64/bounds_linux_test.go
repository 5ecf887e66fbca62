package xxh64

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Nothing before or behind the inputs is read.
func TestStaysWithinItsInput(t *testing.T) {
	page := unix.Getpagesize()
	const size = 16 << 10
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
		parts := [][]byte{inner[size-n:], inner[:n], inner[size-n/2:], inner[:n/2], inner[size-n/3:]}
		checkMany(t, parts)
	}
}
