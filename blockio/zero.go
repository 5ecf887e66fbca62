package blockio

import "bytes"

// BlockSize is the grid in bytes on which everything is aligned: writes of
// volumes, arena buffers, and the parts of a device that are written directly.
const BlockSize = 4 << 10

// IsZero says whether all bytes of p are zero. It stops at the first that are
// not, so data costs almost nothing. Bytes that each equal their neighbour are all
// zero when the first is, and the comparison is the runtime's vector code.
func IsZero(p []byte) bool {
	return len(p) == 0 || p[0] == 0 && bytes.Equal(p[:len(p)-1], p[1:])
}
