package inflate

import "encoding/binary"

const (
	fastIn  = 16 // bytes of src that two refills touch
	fastOut = 3  // bytes of dst that the literals of one round touch
	overrun = 16 // bytes that copying a match may write behind it
)

// fastGeneric decodes symbols while both slices have room for a whole round. It reports true at the end of the block.
func (d *Decoder) fastGeneric() (bool, error) {
	src, dst := d.stream.src, d.stream.dst
	in, out := d.stream.in, d.stream.out
	bits, nbits := d.stream.bits, uint64(d.stream.nbits)
	inEnd, outEnd := len(src)-fastIn, len(dst)-fastOut
	var end bool
	var err error

	e := entry(0)
	if in <= inEnd && out <= outEnd {
		bits |= binary.LittleEndian.Uint64(src[in:]) << (nbits & 63)
		in += int(7 - nbits>>3&7)
		nbits |= 56
		e = d.litlen[bits&(1<<litlenBits-1)]
	}
	for in <= inEnd && out <= outEnd {
		bits |= binary.LittleEndian.Uint64(src[in:]) << (nbits & 63)
		in += int(7 - nbits>>3&7)
		nbits |= 56
		if e&isLiteral != 0 {
			bits >>= e & 63
			nbits -= uint64(e)
			dst[out] = byte(e >> entryValue)
			out++
			e = d.litlen[bits&(1<<litlenBits-1)]
			if e&isLiteral != 0 {
				bits >>= e & 63
				nbits -= uint64(e)
				dst[out] = byte(e >> entryValue)
				out++
				e = d.litlen[bits&(1<<litlenBits-1)]
				if e&isLiteral != 0 {
					bits >>= e & 63
					nbits -= uint64(e)
					dst[out] = byte(e >> entryValue)
					out++
					e = d.litlen[bits&(1<<litlenBits-1)]
					continue
				}
			}
		}
		if e&isSpecial != 0 {
			if e&isSubtable != 0 {
				bits >>= e & 63
				nbits -= uint64(e)
				e = d.litlen[(e>>entryValue+entry(bits)&(1<<(e>>entryCodeBits&entryCodeMask)-1))&(litlenSize-1)]
				if e&isLiteral != 0 {
					bits >>= e & 63
					nbits -= uint64(e)
					dst[out] = byte(e >> entryValue)
					out++
					e = d.litlen[bits&(1<<litlenBits-1)]
					continue
				}
			}
			if e&isSpecial != 0 {
				bits >>= e & 63
				nbits -= uint64(e)
				if end = e&isEnd != 0; !end {
					err = ErrCorrupt
				}
				break
			}
		}
		length := int(e>>entryValue) + int(bits&(1<<(e&63)-1)>>(e>>entryCodeBits&63))
		bits >>= e & 63
		nbits -= uint64(e)

		e = d.dist[bits&(1<<distBits-1)]
		bits |= binary.LittleEndian.Uint64(src[in:]) << (nbits & 63)
		in += int(7 - nbits>>3&7)
		nbits |= 56
		if e&isSpecial != 0 {
			if e&isSubtable != 0 {
				bits >>= e & 63
				nbits -= uint64(e)
				e = d.dist[(e>>entryValue+entry(bits)&(1<<(e>>entryCodeBits&entryCodeMask)-1))&(distSize-1)]
			}
			if e&isSpecial != 0 {
				err = ErrCorrupt
				break
			}
		}
		distance := int(e>>entryValue) + int(bits&(1<<(e&63)-1)>>(e>>entryCodeBits&63))
		bits >>= e & 63
		nbits -= uint64(e)
		e = d.litlen[bits&(1<<litlenBits-1)]

		from := out - distance
		if from < 0 {
			err = ErrCorrupt
			break
		}
		stop := out + length
		if stop+overrun > len(dst) {
			d.stream.out = out
			err = d.stream.match(length, distance)
			out = d.stream.out
			if err != nil {
				break
			}
			continue
		}
		copyMatch(dst, out, from, stop)
		out = stop
	}
	nbits &= 63
	d.stream.in, d.stream.out = in, out
	d.stream.bits, d.stream.nbits = bits&(1<<nbits-1), uint(nbits)
	return end, err
}

// copyMatch copies what begins at from to the place from out up to stop, which may
// overlap it, and up to overrun bytes beyond.
func copyMatch(dst []byte, out, from, stop int) {
	switch distance := out - from; {
	case distance >= 16:
		for ; out < stop; out, from = out+16, from+16 {
			*(*[16]byte)(dst[out:]) = *(*[16]byte)(dst[from:])
		}
	case distance >= 8:
		for ; out < stop; out, from = out+8, from+8 {
			binary.LittleEndian.PutUint64(dst[out:], binary.LittleEndian.Uint64(dst[from:]))
		}
	case distance == 1:
		v := uint64(dst[from]) * 0x0101010101010101
		for ; out < stop; out += 16 {
			binary.LittleEndian.PutUint64(dst[out:], v)
			binary.LittleEndian.PutUint64(dst[out+8:], v)
		}
	default:
		for ; out < stop; out, from = out+distance, from+distance {
			binary.LittleEndian.PutUint64(dst[out:], binary.LittleEndian.Uint64(dst[from:]))
		}
	}
}
