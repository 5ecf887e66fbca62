package inflate_test

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"io"
	"testing"

	"github.com/blockmill/blockmill/convert/inflate"
)

// maxFuzzSize bounds the destination, so that a small input that decodes to much stays quick.
const maxFuzzSize = 1 << 17

// FuzzRaw compares with compress/flate: the same streams are taken, with the same bytes and the same length.
func FuzzRaw(f *testing.F) {
	for _, p := range samples(700) {
		for _, level := range []int{flate.HuffmanOnly, 1, 6} {
			f.Add(deflate(f, level, p), uint32(len(p)))
			f.Add(deflate(f, level, p), uint32(len(p)/2))
		}
	}
	f.Fuzz(func(t *testing.T, src []byte, size uint32) {
		size %= maxFuzzSize
		in := bytes.NewReader(src)
		compare(t, inflate.Raw, int(size), src, flate.NewReader(in), in)
	})
}

// FuzzZlib compares with compress/zlib.
func FuzzZlib(f *testing.F) {
	for _, p := range samples(700) {
		f.Add(deflateZlib(f, 6, p), uint32(len(p)))
	}
	f.Fuzz(func(t *testing.T, src []byte, size uint32) {
		size %= maxFuzzSize
		in := bytes.NewReader(src)
		r, err := zlib.NewReader(in)
		if err != nil {
			if _, _, err := decode(t, inflate.Zlib, int(size), src); err == nil {
				t.Errorf("took a header that compress/zlib refuses")
			}
			return
		}
		compare(t, inflate.Zlib, int(size), src, r, in)
	})
}

func compare(t *testing.T, f func(dst, src []byte) (int, int, error), size int, src []byte, theirs io.Reader, in *bytes.Reader) {
	got, consumed, err := decode(t, f, size, src)
	want, theirErr := io.ReadAll(io.LimitReader(theirs, int64(size)+1))
	switch {
	case theirErr == nil && len(want) <= size:
		if err != nil || consumed != len(src)-in.Len() || !bytes.Equal(got, want) {
			t.Errorf("n %d, consumed %d, %v; want n %d, consumed %d", len(got), consumed, err, len(want), len(src)-in.Len())
		}
	case err == nil:
		t.Errorf("took what the standard library refuses: %v, %d bytes", theirErr, len(want))
	case theirErr == nil && !errors.Is(err, inflate.ErrTooLong) && !errors.Is(err, inflate.ErrCorrupt):
		// The library takes a code without an end of the block, which zlib and this package refuse at once: it finds
		// such a stream corrupt only later.
		t.Errorf("%v for an output that is too long", err)
	}
	// The library may keep back what it decoded last before an error.
	if n := min(len(got), len(want)); !bytes.Equal(got[:n], want[:n]) {
		t.Errorf("of %d bytes before %v some differ", n, err)
	}
}

// FuzzRoundTrip decodes what the standard library makes of arbitrary bytes.
func FuzzRoundTrip(f *testing.F) {
	for _, p := range samples(700) {
		f.Add(p, uint8(6))
	}
	f.Fuzz(func(t *testing.T, want []byte, level uint8) {
		src := deflate(t, int(level%12)+flate.HuffmanOnly, want)
		got, consumed, err := decode(t, inflate.Raw, len(want), src)
		if err != nil || consumed != len(src) || !bytes.Equal(got, want) {
			t.Errorf("n %d of %d, consumed %d of %d, %v", len(got), len(want), consumed, len(src), err)
		}
	})
}
