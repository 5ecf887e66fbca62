package inflate

import "encoding/binary"

// A Decoder holds the tables of a decoder for reuse. The zero value is ready.
type Decoder struct {
	litlen [litlenSize]entry
	dist   [distSize]entry
	codes  [codeSize]entry
	lens   [litlenSymbols + distSymbols]uint8
	build  codeBuilder
	fixed  bool // the tables are those of fixed blocks
	stream stream

	portable bool // no assembly; set by tests
}

// A stream is the position of a call in its two slices.
type stream struct {
	src, dst []byte
	in, out  int
	bits     uint64 // bits read and not yet used, next lowest; those above nbits are zero
	nbits    uint
}

// Raw is the function [Raw] with the tables of d.
func (d *Decoder) Raw(dst, src []byte) (n, consumed int, err error) {
	d.stream = stream{src: src, dst: dst}
	err = d.decode()
	n = d.stream.out
	if err == nil {
		consumed = d.stream.in - int(d.stream.nbits/8)
	}
	d.stream = stream{}
	return n, consumed, err
}

func (d *Decoder) decode() error {
	for {
		header, err := d.stream.take(3)
		if err != nil {
			return err
		}
		switch header >> 1 {
		case 0:
			err = d.stream.stored()
		case 1:
			d.setFixed()
			err = d.block()
		case 2:
			if err = d.readCodes(); err == nil {
				err = d.block()
			}
		default:
			err = ErrCorrupt
		}
		if err != nil || header&1 != 0 {
			return err
		}
	}
}

// block decodes the symbols of a block: quickly while there is room on both sides, then symbol by symbol.
func (d *Decoder) block() error {
	end, err := d.fast()
	if end || err != nil {
		return err
	}
	return d.careful()
}

// fill reads whole bytes of src until more than 55 bits are there or src ends.
func (s *stream) fill() {
	if s.in+8 <= len(s.src) {
		s.bits |= binary.LittleEndian.Uint64(s.src[s.in:]) << (s.nbits & 63)
		s.in += int((63 - s.nbits) >> 3)
		s.nbits |= 56
		s.bits &= 1<<s.nbits - 1
		return
	}
	for s.nbits <= 55 && s.in < len(s.src) {
		s.bits |= uint64(s.src[s.in]) << s.nbits
		s.in++
		s.nbits += 8
	}
}

// take returns the next n bits, at most 32.
func (s *stream) take(n uint) (uint, error) {
	if s.nbits < n {
		s.fill()
	}
	v := uint(s.bits & (1<<n - 1))
	return v, s.drop(n)
}

// drop removes n bits.
func (s *stream) drop(n uint) error {
	if s.nbits < n {
		return ErrShort
	}
	s.bits >>= n
	s.nbits -= n
	return nil
}

// stored copies a stored block.
func (s *stream) stored() error {
	if err := s.drop(s.nbits & 7); err != nil {
		return err
	}
	head, err := s.take(32)
	if err != nil {
		return err
	}
	n := int(head & 0xffff)
	if n != int(^head>>16&0xffff) {
		return ErrCorrupt
	}
	s.in -= int(s.nbits / 8)
	s.bits, s.nbits = 0, 0
	want := n
	n = copy(s.dst[s.out:], s.src[s.in:min(s.in+n, len(s.src))])
	s.in += n
	s.out += n
	switch {
	case n == want:
		return nil
	case s.in == len(s.src):
		return ErrShort
	default:
		return ErrTooLong
	}
}
