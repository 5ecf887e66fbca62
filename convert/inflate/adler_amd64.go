package inflate

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// sumBlocks sums over the whole blocks of p, at most adlerBlocks.
func sumBlocks(p []byte) blockSums {
	if !cpu.X86.HasAVX2 {
		return sumBlocksPortable(p)
	}
	return sumBlocksAVX2(unsafe.SliceData(p), len(p)/adlerBlock)
}

//go:noescape
func sumBlocksAVX2(p *byte, blocks int) (s blockSums)
