package inflate

import (
	"errors"
	"sync"
)

var (
	// ErrCorrupt reports a stream that no compressor writes, or whose checksum differs.
	ErrCorrupt = errors.New("corrupt deflate stream")
	// ErrTooLong reports a stream that decodes to more bytes than dst holds.
	ErrTooLong = errors.New("deflate stream exceeds its destination")
	// ErrShort reports a stream that goes on after the end of src.
	ErrShort = errors.New("deflate stream ends early")
)

var decoders = sync.Pool{New: func() any { return new(Decoder) }}

// Raw decodes the DEFLATE stream at the start of src into dst. It returns the number of bytes decoded, which are
// valid even when err is not nil, and the number of bytes of src that the stream occupies (0 with an error).
func Raw(dst, src []byte) (n, consumed int, err error) {
	d := decoders.Get().(*Decoder)
	n, consumed, err = d.Raw(dst, src)
	decoders.Put(d)
	return n, consumed, err
}

// Zlib is [Raw] for a stream in the zlib format; the checksum of the decoded bytes is verified.
func Zlib(dst, src []byte) (n, consumed int, err error) {
	d := decoders.Get().(*Decoder)
	n, consumed, err = d.Zlib(dst, src)
	decoders.Put(d)
	return n, consumed, err
}
