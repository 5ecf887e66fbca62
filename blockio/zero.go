package blockio

import "encoding/binary"

// BlockSize is the grid in bytes on which everything is aligned: writes of
// volumes, arena buffers, and the parts of a device that are written directly.
const BlockSize = 4 << 10

// IsZero says whether all bytes of p are zero. It stops at the first 64 bytes
// that are not, so data costs almost nothing.
func IsZero(p []byte) bool {
	for len(p) >= 64 {
		w := p[:64]
		if binary.LittleEndian.Uint64(w)|binary.LittleEndian.Uint64(w[8:])|
			binary.LittleEndian.Uint64(w[16:])|binary.LittleEndian.Uint64(w[24:])|
			binary.LittleEndian.Uint64(w[32:])|binary.LittleEndian.Uint64(w[40:])|
			binary.LittleEndian.Uint64(w[48:])|binary.LittleEndian.Uint64(w[56:]) != 0 {
			return false
		}
		p = p[64:]
	}
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}
