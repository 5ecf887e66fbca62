package inflate

// checksum returns the Adler-32 of p (RFC 1950, 8.2). The two sums run over blocks without a remainder: a block adds
// its bytes to the first, and to the second 32 times the first before it and its bytes weighted by 32 down to 1.
func checksum(p []byte) uint32 {
	const mod = 65521
	a, b := uint64(1), uint64(0)
	for len(p) >= adlerBlock {
		blocks := min(len(p)/adlerBlock, adlerBlocks)
		sums := sumBlocks(p[:blocks*adlerBlock])
		b += adlerBlock*(a*uint64(blocks)+sums.before) + sums.weighted
		a += sums.bytes
		a, b = a%mod, b%mod
		p = p[blocks*adlerBlock:]
	}
	for _, c := range p {
		a += uint64(c)
		b += a
	}
	return uint32(b%mod<<16 | a%mod)
}

const (
	adlerBlock  = 32
	adlerBlocks = 32 << 10 // at a time: a lane of 32 bits holds the weighted sum of four times as many
)

// blockSums are sums over blocks of bytes.
type blockSums struct {
	bytes    uint64
	weighted uint64 // the bytes of each block, its first 32 times, its last once
	before   uint64 // for each block, the bytes of the blocks before it
}

func sumBlocksPortable(p []byte) (s blockSums) {
	for ; len(p) >= adlerBlock; p = p[adlerBlock:] {
		s.before += s.bytes
		sum, weighted := uint64(0), uint64(0)
		for _, c := range p[:adlerBlock] {
			sum += uint64(c)
			weighted += sum
		}
		s.bytes += sum
		s.weighted += weighted
	}
	return s
}
