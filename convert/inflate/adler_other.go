//go:build !amd64

package inflate

func sumBlocks(p []byte) blockSums { return sumBlocksPortable(p) }
