package stripe_test

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// reseal makes the checksum that ends an identity right again.
func reseal(p []byte) []byte {
	n := len(p) - 8
	binary.LittleEndian.PutUint64(p[n:], xxhash.Sum64(p[:n]))
	return p
}
