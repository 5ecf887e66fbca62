package blockio

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// hugeFrom is the size from which huge pages are asked for: one page fault
// instead of 512, and fewer pages to pin for direct I/O.
const hugeFrom = 2 << 20

// mapMemory maps anonymous memory outside the Go heap: aligned to pages, given
// back to the system at once when unmapped, and unseen by the collector.
func mapMemory(n int) ([]byte, error) {
	mem, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, err
	}
	if n >= hugeFrom {
		// Advice only: a kernel without huge pages is as right.
		_ = unix.Madvise(mem, unix.MADV_HUGEPAGE)
	}
	return mem, nil
}

func unmapAll(mems [][]byte) {
	for _, mem := range mems {
		if err := unix.Munmap(mem); err != nil {
			panic(fmt.Sprintf("blockio: unmap: %v", err))
		}
	}
}
