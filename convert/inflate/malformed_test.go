package inflate_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/adler32"
	"io"
	"testing"

	"github.com/blockmill/blockmill/convert/inflate"
)

// lens returns n code lengths, all zero but the given symbol, length pairs.
func lens(n int, pairs ...uint8) []uint8 {
	p := make([]uint8, n)
	for i := 0; i < len(pairs); i += 2 {
		p[int(pairs[i])] = pairs[i+1]
	}
	return p
}

// withEnd gives the end of the block, symbol 256, a code length.
func withEnd(p []uint8, n uint8) []uint8 {
	p[256] = n
	return p
}

func TestMalformed(t *testing.T) {
	w := func() *bitWriter { return new(bitWriter) }
	fixed := func() *bitWriter { return w().bits(1, 1).bits(1, 2) }
	literalX := func(b *bitWriter) *bitWriter { return b.code(0x30+'x', 8) }
	length3 := lens(258, 'x', 2)
	length3[256], length3[257] = 2, 1 // codes: 257 is 0, x is 10, the end is 11

	tests := []struct {
		name string
		src  []byte
		want string
		err  error
	}{
		{"block of type 3", w().bits(7, 3).p, "", inflate.ErrCorrupt},
		{"stored length and complement differ", []byte{1, 5, 0, 0xfb, 0xff, 1}, "", inflate.ErrCorrupt},
		{"empty stored block", []byte{1, 0, 0, 0xff, 0xff}, "", nil},
		{"fixed literal", literalX(fixed()).code(0, 7).p, "x", nil},
		{"distance before the start", literalX(fixed()).code(1, 7).code(1, 5).code(0, 7).p, "x", inflate.ErrCorrupt},
		{"distance to the start", literalX(fixed()).code(1, 7).code(0, 5).code(0, 7).p, "xxxx", nil},
		{"distance symbol 30", literalX(fixed()).code(1, 7).code(30, 5).code(0, 7).p, "x", inflate.ErrCorrupt},
		{"distance symbol 31", literalX(fixed()).code(1, 7).code(31, 5).code(0, 7).p, "x", inflate.ErrCorrupt},
		{"length symbol 286", literalX(fixed()).code(0xc6, 8).code(0, 5).code(0, 7).p, "x", inflate.ErrCorrupt},
		{"length symbol 287", literalX(fixed()).code(0xc7, 8).code(0, 5).code(0, 7).p, "x", inflate.ErrCorrupt},

		{"literal code", w().dynamic(withEnd(lens(257, 'x', 1), 1), lens(1)).code(0, 1).code(1, 1).p, "x", nil},
		{"only the end", w().dynamic(withEnd(lens(257), 1), lens(1)).code(0, 1).p, "", nil},
		{"only the end, other bit", w().dynamic(withEnd(lens(257), 1), lens(1)).code(1, 1).p, "", inflate.ErrCorrupt},
		{"only the end, two bits", w().dynamic(withEnd(lens(257), 2), lens(1)).code(0, 2).p, "", inflate.ErrCorrupt},
		{"no end", w().dynamic(lens(257, 'x', 1, 'y', 1), lens(1)).code(0, 1).p, "", inflate.ErrCorrupt},
		{"no symbol", w().dynamic(lens(257), lens(1)).code(0, 1).p, "", inflate.ErrCorrupt},
		{"over-subscribed literals", w().dynamic(withEnd(lens(257, 'x', 1, 'y', 1), 1), lens(1)).p, "", inflate.ErrCorrupt},
		{"one code of 15 bits too many", w().dynamic(withEnd(lens(257, 'x', 1, 'y', 15), 1), lens(1)).p, "", inflate.ErrCorrupt},
		{"incomplete literals", w().dynamic(withEnd(lens(257, 'x', 2, 'y', 2), 2), lens(1)).p, "", inflate.ErrCorrupt},
		{"287 literal symbols", w().dynamic(withEnd(lens(287, 'x', 1), 1), lens(1)).code(1, 1).p, "", inflate.ErrCorrupt},
		{"31 distance symbols", w().dynamic(withEnd(lens(257, 'x', 1), 1), lens(31)).code(1, 1).p, "", inflate.ErrCorrupt},
		{"286 and 30 symbols", w().dynamic(withEnd(lens(286, 'x', 1), 1), lens(30)).code(1, 1).p, "", nil},

		{"one distance", w().dynamic(length3, lens(1, 0, 1)).code(2, 2).code(0, 1).code(0, 1).code(3, 2).p, "xxxx", nil},
		{"one distance, other bit", w().dynamic(length3, lens(1, 0, 1)).code(2, 2).code(0, 1).code(1, 1).code(3, 2).p, "x", inflate.ErrCorrupt},
		{"one distance of two bits", w().dynamic(length3, lens(1, 0, 2)).code(2, 2).code(3, 2).p, "", inflate.ErrCorrupt},
		{"no distance, none used", w().dynamic(length3, lens(1)).code(2, 2).code(3, 2).p, "x", nil},
		{"no distance, one used", w().dynamic(length3, lens(1)).code(2, 2).code(0, 1).code(0, 1).p, "x", inflate.ErrCorrupt},
		{"over-subscribed distances", w().dynamic(length3, lens(3, 0, 1, 1, 1, 2, 1)).p, "", inflate.ErrCorrupt},
		{"incomplete distances", w().dynamic(length3, lens(3, 0, 2, 1, 2, 2, 2)).p, "", inflate.ErrCorrupt},

		{"repeat before the first length", codeLengths(w(), 16).p, "", inflate.ErrCorrupt},
		{"repeat beyond the last length", codeLengths(w(), 18, 18, 18).p, "", inflate.ErrCorrupt},
		{"over-subscribed code lengths", w().bits(1, 1).bits(2, 2).bits(0, 14).bits(1, 3).bits(1, 3).bits(1, 3).bits(0, 3).p, "", inflate.ErrCorrupt},
		{"incomplete code lengths", w().bits(1, 1).bits(2, 2).bits(0, 14).bits(2, 3).bits(2, 3).bits(2, 3).bits(0, 3).p, "", inflate.ErrCorrupt},
		{"one code length of one bit", w().bits(1, 1).bits(2, 2).bits(0, 14).bits(0, 9).bits(1, 3).p, "", inflate.ErrCorrupt},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, tail := range []int{8, 100} {
				src := append(test.src[:len(test.src):len(test.src)], make([]byte, tail)...)
				for name, f := range decoders() {
					got, consumed, err := decode(t, f, 600, src)
					if !errors.Is(err, test.err) || string(got) != test.want {
						t.Errorf("%s, %d bytes behind: %q, %v; want %q, %v", name, tail, got, err, test.want, test.err)
					}
					if err == nil && consumed != len(test.src) {
						t.Errorf("%s, %d bytes behind: consumed %d, want %d", name, tail, consumed, len(test.src))
					}
				}
				theirs, err := io.ReadAll(flate.NewReader(bytes.NewReader(src)))
				if (err == nil) != (test.err == nil) || err == nil && string(theirs) != test.want {
					t.Errorf("compress/flate: %q, %v", theirs, err)
				}
			}
		})
	}
}

// codeLengths begins a block of 257 and 1 symbols with a code in which 16 is 0, 17 is 10 and 18 is 11, and repeats as
// often as these allow.
func codeLengths(w *bitWriter, symbols ...int) *bitWriter {
	w.bits(1, 1).bits(2, 2).bits(0, 14).bits(1, 3).bits(2, 3).bits(2, 3).bits(0, 3)
	for _, s := range symbols {
		switch s {
		case 16:
			w.code(0, 1).bits(3, 2)
		case 17:
			w.code(2, 2).bits(7, 3)
		case 18:
			w.code(3, 2).bits(127, 7)
		}
	}
	return w
}

func TestMalformedZlib(t *testing.T) {
	valid := func() []byte {
		p := append([]byte{0x78, 0x9c}, deflate(t, 6, []byte("abcabcabc"))...)
		return binary.BigEndian.AppendUint32(p, adler32.Checksum([]byte("abcabcabc")))
	}
	tests := []struct {
		name   string
		change func(p []byte) []byte
		err    error
	}{
		{"valid", func(p []byte) []byte { return p }, nil},
		{"smaller window", func(p []byte) []byte { p[0], p[1] = 0x08, 0x1d; return p }, nil},
		{"method 7", func(p []byte) []byte { p[0], p[1] = 0x77, 0x85; return p }, inflate.ErrCorrupt},
		{"window of 64 KiB", func(p []byte) []byte { p[0], p[1] = 0x88, 0x1c; return p }, inflate.ErrCorrupt},
		{"preset dictionary", func(p []byte) []byte { p[0], p[1] = 0x78, 0xbb; return p }, inflate.ErrCorrupt},
		{"header check", func(p []byte) []byte { p[1]++; return p }, inflate.ErrCorrupt},
		{"checksum", func(p []byte) []byte { p[len(p)-1]++; return p }, inflate.ErrCorrupt},
		{"half a checksum", func(p []byte) []byte { return p[:len(p)-2] }, inflate.ErrShort},
		{"half a header", func(p []byte) []byte { return p[:1] }, inflate.ErrShort},
		{"corrupt body", func(p []byte) []byte { p[2] |= 6; return p }, inflate.ErrCorrupt},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, _, err := decode(t, inflate.Zlib, 100, test.change(valid())); !errors.Is(err, test.err) {
				t.Errorf("%v, want %v", err, test.err)
			}
		})
	}
}
