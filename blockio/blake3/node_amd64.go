package blake3

const (
	blockSize = 64
	chunkSize = 1 << 10
)

// Flags of a compression (specification, table 3).
const (
	flagChunkStart = 1 << iota
	flagChunkEnd
	flagParent
	flagRoot
)

// digest is the value of a node: of eight words, little-endian.
type digest = [32]byte

// iv is what every unkeyed chunk and parent begins with (specification, table 1).
var iv = digest{
	0x67, 0xe6, 0x09, 0x6a, 0x85, 0xae, 0x67, 0xbb, 0x72, 0xf3, 0x6e, 0x3c, 0x3a, 0xf5, 0x4f, 0xa5,
	0x7f, 0x52, 0x0e, 0x51, 0x8c, 0x68, 0x05, 0x9b, 0xab, 0xd9, 0x83, 0x1f, 0x19, 0xcd, 0xe0, 0x5b,
}

func parentOf(children [2]digest, flags uint32) digest {
	cv := iv
	compress1(&cv, &children[0][0], 0, blockSize, flagParent|flags)
	return cv
}

// chunk returns the value of one chunk, perhaps short or empty.
func chunk(p []byte, counter uint64, flags uint32) digest {
	cv := iv
	start := uint32(flagChunkStart)
	for ; len(p) > blockSize; p = p[blockSize:] {
		compress1(&cv, &p[0], counter, blockSize, start)
		start = 0
	}
	var block [blockSize]byte
	n := copy(block[:], p)
	compress1(&cv, &block[0], counter, uint32(n), start|flagChunkEnd|flags)
	return cv
}
