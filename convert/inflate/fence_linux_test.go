package inflate_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/convert/inflate"
)

// A fence is memory with a page behind it, and one before it, that must not be touched.
type fence []byte

func newFence(tb testing.TB, size int) fence {
	tb.Helper()
	page := unix.Getpagesize()
	size = (size + page - 1) / page * page
	p, err := unix.Mmap(-1, 0, page+size+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := unix.Munmap(p); err != nil {
			tb.Error(err)
		}
	})
	for _, border := range [][]byte{p[:page], p[page+size:]} {
		if err := unix.Mprotect(border, unix.PROT_NONE); err != nil {
			tb.Fatal(err)
		}
	}
	return fence(p[page : page+size])
}

// last returns the n bytes before the border, next those after the other one.
func (f fence) last(n int) []byte { return f[len(f)-n:] }
func (f fence) next(n int) []byte { return f[:n] }

// fenced decodes with src and dst right before and right behind borders, by the assembly and by portable code, and
// fails where these differ.
type fenced struct {
	src, dst       fence
	fast, portable *inflate.Decoder
}

func newFenced(tb testing.TB, size int) *fenced {
	return &fenced{newFence(tb, size), newFence(tb, size), new(inflate.Decoder), inflate.NewPortable()}
}

func (f *fenced) decode(t *testing.T, size int, src []byte) ([]byte, error) {
	t.Helper()
	want := make([]byte, size)
	wantN, wantConsumed, wantErr := f.portable.Raw(want, src)
	for _, place := range []func(fence, int) []byte{fence.last, fence.next} {
		in, out := place(f.src, len(src)), place(f.dst, size)
		copy(in, src)
		for _, d := range []*inflate.Decoder{f.fast, f.portable} {
			n, consumed, err := d.Raw(out, in)
			if n != wantN || consumed != wantConsumed || !errors.Is(err, wantErr) || !bytes.Equal(out[:n], want[:n]) {
				t.Fatalf("n %d, consumed %d, %v; portable: n %d, consumed %d, %v", n, consumed, err, wantN, wantConsumed, wantErr)
			}
		}
	}
	return want[:wantN], wantErr
}

func TestStaysWithinItsSlices(t *testing.T) {
	f := newFenced(t, 8192)
	for name, want := range samples(3000) {
		for _, level := range []int{flate.HuffmanOnly, 1, 6} {
			src := deflate(t, level, want)
			for cut := range 600 {
				if got, err := f.decode(t, len(want)-cut, src); err != nil && cut == 0 || !bytes.HasPrefix(want, got) {
					t.Fatalf("%s, level %d, %d bytes less room: %v", name, level, cut, err)
				}
				if cut < len(src) {
					if got, _ := f.decode(t, len(want), src[:len(src)-cut]); !bytes.HasPrefix(want, got) {
						t.Fatalf("%s, level %d, %d bytes less source", name, level, cut)
					}
				}
			}
		}
	}
}

// Every distance and length that copies differently, at every place near the end.
func TestMatches(t *testing.T) {
	f := newFenced(t, 4096)
	random := samples(100)["random"]
	for distance := 1; distance <= 70; distance++ {
		for length := 3; length <= 258; length += 1 + length/24 {
			w := new(bitWriter).bits(1, 1).bits(1, 2)
			for _, c := range random {
				literal(w, c)
			}
			match(w, length, distance)
			for _, c := range random[:distance%50] {
				literal(w, c)
			}
			src := append(w.code(0, 7).p, make([]byte, 20)...)
			want := append([]byte{}, random...)
			for range length {
				want = append(want, want[len(want)-distance])
			}
			want = append(want, random[:distance%50]...)
			if got, err := f.decode(t, len(want), src); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("length %d, distance %d: %v", length, distance, err)
			}
		}
	}
}

// FuzzFenced compares the assembly with portable code beside memory that must not be touched.
func FuzzFenced(f *testing.F) {
	for _, p := range samples(700) {
		for _, level := range []int{flate.HuffmanOnly, 1, 6} {
			src := deflate(f, level, p)
			f.Add(src, uint32(len(p)))
			f.Add(src[:len(src)-2], uint32(len(p)-5))
		}
	}
	memory := newFenced(f, maxFuzzSize)
	f.Fuzz(func(t *testing.T, src []byte, size uint32) {
		if len(src) <= maxFuzzSize {
			memory.decode(t, int(size%maxFuzzSize), src)
		}
	})
}
