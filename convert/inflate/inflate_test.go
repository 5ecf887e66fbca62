package inflate_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/convert/inflate"
)

const guard = 0xa5

// decode calls f with a dst of size bytes inside guard bytes and checks these.
func decode(t *testing.T, f func(dst, src []byte) (int, int, error), size int, src []byte) (p []byte, consumed int, err error) {
	t.Helper()
	const margin = 512
	buf := bytes.Repeat([]byte{guard}, margin+size+margin)
	n, consumed, err := f(buf[margin:margin+size:margin+size], src)
	for i, c := range buf {
		if (i < margin || i >= margin+size) && c != guard {
			t.Fatalf("byte %d beside a destination of %d bytes was written", i-margin, size)
		}
	}
	if n < 0 || n > size {
		t.Fatalf("decoded %d bytes into %d", n, size)
	}
	if err != nil && consumed != 0 {
		t.Fatalf("consumed %d with an error", consumed)
	}
	return buf[margin : margin+n], consumed, err
}

// decoders are the ways to decode a raw stream.
func decoders() map[string]func(dst, src []byte) (int, int, error) {
	return map[string]func(dst, src []byte) (int, int, error){
		"pooled": inflate.Raw, "own": new(inflate.Decoder).Raw, "portable": inflate.NewPortable().Raw,
	}
}

func TestDecodesWhatTheStandardLibraryWrites(t *testing.T) {
	decoders := decoders()
	for _, size := range []int{0, 1, 2, 7, 8, 9, 255, 512, 513, 4096, 65536, 140_001} {
		for name, want := range samples(size) {
			for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, flate.BestSpeed, 4, 6, flate.BestCompression} {
				check := func(format string, f func(dst, src []byte) (int, int, error), src []byte) {
					t.Helper()
					for _, tail := range []int{0, 1, 100} {
						got, consumed, err := decode(t, f, size, append(src[:len(src):len(src)], make([]byte, tail)...))
						if err != nil || consumed != len(src) || !bytes.Equal(got, want) {
							t.Fatalf("%s of %d bytes, level %d, %s, %d bytes behind: n %d, consumed %d of %d, %v",
								name, size, level, format, tail, len(got), consumed, len(src), err)
						}
					}
				}
				src := deflate(t, level, want)
				for name, f := range decoders {
					check(name, f, src)
				}
				check("zlib", inflate.Zlib, wrapped(src, want))
			}
		}
	}
}

// Blocks of every kind follow each other in one stream, with matches that reach into earlier ones.
func TestMixedBlocks(t *testing.T) {
	var b bytes.Buffer
	var want []byte
	kinds := samples(3000)
	for round := range 3 {
		for _, name := range []string{"text", "random", "copies", "zeros", "table"} {
			w, err := flate.NewWriterDict(&b, 1+round*4, want)
			if err != nil {
				t.Fatal(err)
			}
			p := kinds[name][:len(kinds[name])-round*997]
			if _, err := w.Write(p); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			want = append(want, p...)
		}
	}
	src := append(b.Bytes(), 1, 0, 0, 0xff, 0xff)
	got, consumed, err := decode(t, inflate.Raw, len(want), src)
	if err != nil || consumed != len(src) {
		t.Fatalf("consumed %d of %d, %v", consumed, len(src), err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTruncatedSource(t *testing.T) {
	for name, want := range samples(1500) {
		for _, level := range []int{flate.HuffmanOnly, 0, 6} {
			src := deflate(t, level, want)
			for n := range src {
				got, _, err := decode(t, inflate.Raw, len(want), src[:n])
				if !errors.Is(err, inflate.ErrShort) || !bytes.HasPrefix(want, got) {
					t.Fatalf("%s, level %d, %d of %d bytes: decoded %d, %v", name, level, n, len(src), len(got), err)
				}
			}
			wrapped := deflateZlib(t, level, want)
			for n := range wrapped {
				if _, _, err := decode(t, inflate.Zlib, len(want), wrapped[:n]); !errors.Is(err, inflate.ErrShort) {
					t.Fatalf("%s, level %d, %d of %d bytes of zlib: %v", name, level, n, len(wrapped), err)
				}
			}
		}
	}
}

func TestSmallDestination(t *testing.T) {
	for name, want := range samples(2000) {
		for _, level := range []int{flate.HuffmanOnly, 0, 6} {
			src := deflate(t, level, want)
			for size := range want {
				got, _, err := decode(t, inflate.Raw, size, src)
				if !errors.Is(err, inflate.ErrTooLong) || !bytes.Equal(got, want[:size]) {
					t.Fatalf("%s, level %d, destination of %d: decoded %d, %v", name, level, size, len(got), err)
				}
			}
			if got, _, err := decode(t, inflate.Raw, len(want)+1000, src); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%s, level %d, large destination: decoded %d, %v", name, level, len(got), err)
			}
		}
	}
}

// A decoder that failed, or that holds the tables of fixed blocks, decodes the next stream all the same.
func TestDecoderKeepsNothing(t *testing.T) {
	var d inflate.Decoder
	kinds := samples(5000)
	for _, level := range []int{1, 6, 9} {
		for name, want := range kinds {
			short := deflate(t, level, want[:20])
			src := deflate(t, level, want)
			got := make([]byte, len(want))
			if _, _, err := d.Raw(got, src[:len(src)/2]); !errors.Is(err, inflate.ErrShort) {
				t.Fatalf("%s: half a stream: %v", name, err)
			}
			if n, _, err := d.Raw(got, short); err != nil || !bytes.Equal(got[:n], want[:20]) {
				t.Fatalf("%s: short stream: %v", name, err)
			}
			if n, _, err := d.Raw(got, src); err != nil || !bytes.Equal(got[:n], want) {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

func TestDoesNotAllocate(t *testing.T) {
	want := samples(65536)["text"]
	src, dst := deflate(t, 6, want), make([]byte, len(want))
	var d inflate.Decoder
	if n := testing.AllocsPerRun(20, func() {
		if _, _, err := d.Raw(dst, src); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}

func ExampleRaw() {
	stream := []byte{0xcb, 0xc9, 0xcc, 0x4b, 0x55, 0xc8, 0xc1, 0x24, 0x00}
	dst := make([]byte, 64)
	n, consumed, err := inflate.Raw(dst, stream)
	fmt.Printf("%q %d %v\n", dst[:n], consumed, err)
	// Output: "line line line line line" 9 <nil>
}
