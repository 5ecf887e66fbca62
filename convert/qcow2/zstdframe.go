package qcow2

import (
	"errors"

	"github.com/klauspost/compress/zstd"
)

// maxZstdWindow is what the zstd format asks every decoder to support; no
// window larger than a cluster is of use.
const maxZstdWindow = 8 << 20

var errShortFrame = errors.New("zstd: frame ends beyond the compressed data")

// Types of zstd blocks (RFC 8878, section 3.1.1.2).
const (
	zstdRLE      = 1
	zstdReserved = 3
)

// zstdFrame is the length of the frame at the beginning of src. It must be
// known before decoding, since the bytes behind a frame are another cluster's.
func zstdFrame(src []byte) (int, error) {
	var h zstd.Header
	if err := h.Decode(src); err != nil {
		return 0, err
	}
	n := h.HeaderSize
	if h.Skippable {
		n += int(h.SkippableSize)
		return n, checkFrame(n, src)
	}
	for {
		if len(src)-n < 3 {
			return 0, errShortFrame
		}
		block := int(src[n]) | int(src[n+1])<<8 | int(src[n+2])<<16
		last, kind, size := block&1 != 0, block>>1&3, block>>3
		switch kind {
		case zstdRLE:
			size = 1
		case zstdReserved:
			return 0, zstd.ErrReservedBlockType
		}
		n += 3 + size
		if n > len(src) {
			return 0, errShortFrame
		}
		if last {
			break
		}
	}
	if h.HasCheckSum {
		n += 4
	}
	return n, checkFrame(n, src)
}

func checkFrame(n int, src []byte) error {
	if n < 0 || n > len(src) {
		return errShortFrame
	}
	return nil
}
