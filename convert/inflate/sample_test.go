package inflate_test

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/binary"
	"hash/adler32"
	"math/rand/v2"
	"testing"
)

// samples returns n bytes of each kind that makes a compressor behave differently.
func samples(n int) map[string][]byte {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	fill := func(next func(i int, p []byte) byte) []byte {
		p := make([]byte, n)
		for i := range p {
			p[i] = next(i, p)
		}
		return p
	}
	word := func(int, []byte) byte { return "etaoin shrdlu,\nETAOIN"[min(rng.IntN(24), rng.IntN(24), 20)] }
	return map[string][]byte{
		"zeros":  make([]byte, n),
		"random": fill(func(int, []byte) byte { return byte(rng.Uint32()) }),
		"text":   fill(word),
		"skewed": fill(func(int, []byte) byte { return byte(rng.ExpFloat64() * 8) }),
		"copies": fill(func(i int, p []byte) byte {
			if back := 1 + rng.IntN(40); i > back && rng.IntN(8) != 0 {
				return p[i-back]
			}
			return byte(rng.Uint32())
		}),
		"periods": fill(func(i int, p []byte) byte {
			if period := 1 + i/400; i%400 >= period {
				return p[i-period]
			}
			return byte(rng.Uint32())
		}),
		"table": fill(func(i int, _ []byte) byte {
			if i%8 < 5 {
				return byte(i >> 3 >> (8 * (i % 8)))
			}
			return byte(rng.Uint32() & 3)
		}),
	}
}

func deflate(tb testing.TB, level int, p []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(p); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func deflateZlib(tb testing.TB, level int, p []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, level)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(p); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// wrapped is the stream of p in the wrapper that zlib gives it (RFC 1950).
func wrapped(stream, p []byte) []byte {
	return binary.BigEndian.AppendUint32(append([]byte{0x78, 0x9c}, stream...), adler32.Checksum(p))
}

// A bitWriter writes a stream by hand.
type bitWriter struct {
	p []byte
	n uint
}

// bits appends the low n bits of v, lowest first.
func (w *bitWriter) bits(v, n uint) *bitWriter {
	for i := range n {
		if w.n%8 == 0 {
			w.p = append(w.p, 0)
		}
		w.p[w.n/8] |= byte(v>>i&1) << (w.n % 8)
		w.n++
	}
	return w
}

// code appends a Huffman code of n bits, highest first.
func (w *bitWriter) code(v, n uint) *bitWriter {
	for n > 0 {
		n--
		w.bits(v>>n, 1)
	}
	return w
}

// dynamic begins a final block whose codes have the given lengths. Each length costs four bits.
func (w *bitWriter) dynamic(litlens, dists []uint8) *bitWriter {
	w.bits(1, 1).bits(2, 2).bits(uint(len(litlens)-257), 5).bits(uint(len(dists)-1), 5).bits(15, 4)
	w.bits(0, 9) // 16, 17 and 18 are unused
	for range 16 {
		w.bits(4, 3)
	}
	for _, n := range append(append([]uint8{}, litlens...), dists...) {
		w.code(uint(n), 4)
	}
	return w
}

// literal appends c, and match a length and a distance, with the fixed codes (RFC 1951, 3.2.6).
func literal(w *bitWriter, c byte) {
	if c < 144 {
		w.code(0x30+uint(c), 8)
	} else {
		w.code(0x190+uint(c)-144, 9)
	}
}

func match(w *bitWriter, length, distance int) {
	symbol, base, extra := 257, 3, uint(0)
	for length != 258 && length >= base+1<<extra {
		base += 1 << extra
		symbol++
		extra = uint(max(0, (symbol-257)/4-1))
	}
	if length == 258 {
		symbol, base, extra = 285, 258, 0
	}
	if symbol < 280 {
		w.code(uint(symbol-256), 7)
	} else {
		w.code(0xc0+uint(symbol-280), 8)
	}
	w.bits(uint(length-base), extra)
	symbol, base, extra = 0, 1, 0
	for distance >= base+1<<extra {
		base += 1 << extra
		symbol++
		extra = uint(max(0, symbol/2-1))
	}
	w.code(uint(symbol), 5).bits(uint(distance-base), extra)
}
