package inflate

import "encoding/binary"

// Zlib is the function [Zlib] with the tables of d.
func (d *Decoder) Zlib(dst, src []byte) (n, consumed int, err error) {
	const header, trailer = 2, 4
	if len(src) < header {
		return 0, 0, ErrShort
	}
	head := binary.BigEndian.Uint16(src)
	if method, window, preset := head>>8&15, head>>12, head>>5&1; method != 8 || window > 7 || preset != 0 || head%31 != 0 {
		return 0, 0, ErrCorrupt
	}
	n, consumed, err = d.Raw(dst, src[header:])
	if err != nil {
		return n, 0, err
	}
	consumed += header
	if len(src)-consumed < trailer {
		return n, 0, ErrShort
	}
	if binary.BigEndian.Uint32(src[consumed:]) != checksum(dst[:n]) {
		return n, 0, ErrCorrupt
	}
	return n, consumed + trailer, nil
}
