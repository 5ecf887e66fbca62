package inflate

// careful decodes the rest of a block near the end of src or dst. It uses no bit that src does not have and leaves
// the position exact.
func (d *Decoder) careful() error {
	s := &d.stream
	for {
		e, err := s.next(d.litlen[:], litlenBits)
		if err != nil {
			return err
		}
		switch {
		case e&isLiteral != 0:
			if s.out == len(s.dst) {
				return ErrTooLong
			}
			s.dst[s.out] = byte(e >> entryValue)
			s.out++
			continue
		case e&isEnd != 0:
			return nil
		case e&isSpecial != 0:
			return ErrCorrupt
		}
		length, err := s.value(e)
		if err != nil {
			return err
		}
		if e, err = s.next(d.dist[:], distBits); err != nil {
			return err
		}
		if e&isSpecial != 0 {
			return ErrCorrupt
		}
		distance, err := s.value(e)
		if err != nil {
			return err
		}
		if err := s.match(length, distance); err != nil {
			return err
		}
	}
}

// next decodes one code. The bits of the code are dropped, extra bits are not.
func (s *stream) next(table []entry, root uint) (entry, error) {
	s.fill()
	e := table[s.bits&(1<<root-1)]
	if e&isSubtable != 0 {
		if err := s.drop(root); err != nil {
			return 0, err
		}
		width := e >> entryCodeBits & entryCodeMask
		e = table[e>>entryValue+entry(s.bits)&(1<<width-1)]
	}
	return e, s.drop(uint(e >> entryCodeBits & entryCodeMask))
}

// value adds the extra bits of a length or distance to its base. They are there without a fill: at most 13 follow a
// code of 15.
func (s *stream) value(e entry) (int, error) {
	extra := uint(e&0xff - e>>entryCodeBits&entryCodeMask)
	v := int(e>>entryValue) + int(s.bits&(1<<extra-1))
	return v, s.drop(extra)
}

// match repeats length bytes from distance bytes back; what does not fit is cut off and reported.
func (s *stream) match(length, distance int) error {
	if distance > s.out {
		return ErrCorrupt
	}
	end := min(s.out+length, len(s.dst))
	cut := end < s.out+length
	from := s.out - distance
	for s.out < end {
		// An overlapping match doubles what can be copied with each round.
		s.out += copy(s.dst[s.out:end], s.dst[from:s.out])
	}
	if cut {
		return ErrTooLong
	}
	return nil
}
