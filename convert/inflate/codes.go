package inflate

// codeOrder is the order in which a block gives the lengths of the code for code lengths (RFC 1951, 3.2.7).
var codeOrder = [codeSymbols]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// setFixed builds the tables of blocks with fixed codes, unless they are there.
func (d *Decoder) setFixed() {
	if d.fixed {
		return
	}
	lens := &d.lens
	for i := range litlenSymbols {
		switch {
		case i < 144:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		case i < 280:
			lens[i] = 7
		default:
			lens[i] = 8
		}
	}
	for i := range distSymbols {
		lens[litlenSymbols+i] = 5
	}
	d.build.build(d.litlen[:], litlenBits, litlenEntries[:], lens[:litlenSymbols])
	d.build.build(d.dist[:], distBits, distEntries[:], lens[litlenSymbols:])
	d.fixed = true
}

// readCodes reads the codes of a dynamic block and builds their tables.
func (d *Decoder) readCodes() error {
	d.fixed = false
	head, err := d.stream.take(14)
	if err != nil {
		return err
	}
	litlens, dists, codes := head&31+257, head>>5&31+1, head>>10+4
	if litlens > 286 || dists > 30 {
		return ErrCorrupt
	}
	var lens [codeSymbols]uint8
	for _, s := range codeOrder[:codes] {
		n, err := d.stream.take(3)
		if err != nil {
			return err
		}
		lens[s] = uint8(n)
	}
	if !d.build.build(d.codes[:], codeBits, codeEntries[:], lens[:]) || d.codes[codeSize-1]&isSpecial != 0 {
		// Not even one symbol of one bit is taken here.
		return ErrCorrupt
	}
	if err := d.readLengths(litlens + dists); err != nil {
		return err
	}
	if d.lens[endOfBlock] == 0 ||
		!d.build.build(d.litlen[:], litlenBits, litlenEntries[:], d.lens[:litlens]) ||
		!d.build.build(d.dist[:], distBits, distEntries[:], d.lens[litlens:litlens+dists]) {
		return ErrCorrupt
	}
	return nil
}

// readLengths decodes n code lengths into d.lens.
func (d *Decoder) readLengths(n uint) error {
	s, lens := &d.stream, d.lens[:n]
	for i := 0; i < len(lens); {
		if s.nbits < codeBits+7 {
			s.fill()
		}
		e := d.codes[s.bits&(codeSize-1)]
		if err := s.drop(uint(e & 0xff)); err != nil {
			return err
		}
		if e&isSpecial != 0 {
			return ErrCorrupt
		}
		symbol := e >> entryValue
		if symbol < 16 {
			lens[i] = uint8(symbol)
			i++
			continue
		}
		var value uint8
		repeat, width := 3, uint(2)
		switch symbol {
		case 16:
			if i == 0 {
				return ErrCorrupt
			}
			value = lens[i-1]
		case 17:
			width = 3
		default:
			repeat, width = 11, 7
		}
		more, err := s.take(width)
		if err != nil {
			return err
		}
		repeat += int(more)
		if repeat > len(lens)-i {
			return ErrCorrupt
		}
		for j := range repeat {
			lens[i+j] = value
		}
		i += repeat
	}
	return nil
}
