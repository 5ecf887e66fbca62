package cas_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
	"pgregory.net/rapid"
)

// digestOf computes a digest with the windows in any order.
func digestOf(t *testing.T, p []byte, backwards bool) cas.Digest {
	t.Helper()
	d := cas.NewDigester(int64(len(p)))
	order := make([]int64, 0)
	for i := int64(0); i*cas.WindowSize < int64(len(p)); i++ {
		order = append(order, i)
	}
	if backwards {
		slices.Reverse(order)
	}
	for _, i := range order {
		if err := d.PutWindow(i, p[i*cas.WindowSize:min((i+1)*cas.WindowSize, int64(len(p)))]); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := d.Sum()
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// TestDigest holds the digest to depend on the guest bytes and nothing else: not
// on the store's cut, codec, order of windows or earlier content.
func TestDigest(t *testing.T) {
	t.Parallel()
	p := guest(9<<20+512, 7)
	want := digestOf(t, p, false)
	if got := digestOf(t, p, true); got != want {
		t.Errorf("digest %v backwards, want %v", got, want)
	}
	for name, change := range map[string]func(*cas.Options){
		"default": func(*cas.Options) {},
		"raw":     func(o *cas.Options) { o.NoCompression = true },
		"zstd":    func(o *cas.Options) { o.Codec = cas.Zstd },
		"fixed":   func(o *cas.Options) { o.Cut = cas.Cut{Kind: cas.CutFixed, Max: 64 << 10} },
		"seeded": func(o *cas.Options) {
			o.Cut = cas.CanonicalCut()
			o.Cut.Seed = 42
		},
		"coarse": func(o *cas.Options) { o.Cut = cas.Cut{Min: 64 << 10, Max: 1 << 20, Bits: 6} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := testOptions(blockiotest.NewMemVolume(), "")
			change(&opts)
			s := newStore(t, opts)
			info := mustPut(t, s, "a", p)
			if info.Digest != want {
				t.Errorf("digest %v, want %v", info.Digest, want)
			}
			wantImage(t, s, info.ID, p)
			sound(t, s)
		})
	}
	for name, other := range map[string][]byte{
		"a bit":   func() []byte { q := bytes.Clone(p); q[5<<20] ^= 1; return q }(),
		"longer":  append(bytes.Clone(p), make([]byte, 512)...),
		"shorter": p[:len(p)-512],
		"moved":   append(bytes.Clone(p[cas.WindowSize:]), p[:cas.WindowSize]...),
	} {
		if digestOf(t, other, false) == want {
			t.Errorf("%s: the same digest", name)
		}
	}
}

func TestPutWindowTwice(t *testing.T) {
	t.Parallel()
	d := cas.NewDigester(100)
	for range 2 {
		if err := d.PutWindow(0, bytes.Repeat([]byte{1}, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Sum(); err == nil {
		t.Error("digest of a window that was put twice")
	}
	for _, c := range []struct {
		index int64
		n     int
	}{{1, 100}, {-1, 100}, {0, 99}, {0, 101}} {
		if err := cas.NewDigester(100).PutWindow(c.index, make([]byte, c.n)); err == nil {
			t.Errorf("window %d of %d bytes in an image of 100", c.index, c.n)
		}
	}
}

// TestReadAt reads random ranges of random images, and compares the extents with
// the zeros that are there.
func TestReadAt(t *testing.T) {
	t.Parallel()
	s := newStore(t, testOptions(blockiotest.NewMemVolume(), ""))
	rapid.Check(t, func(rt *rapid.T) {
		p := guest(rapid.IntRange(1, 5<<20).Draw(rt, "size"), rapid.Uint64Range(0, 50).Draw(rt, "seed"))
		info, err := put(t.Context(), s, "x", p)
		if err != nil {
			rt.Fatal(err)
		}
		im, err := s.OpenImage(t.Context(), info.ID)
		if err != nil {
			rt.Fatal(err)
		}
		defer im.Close()
		for range 5 {
			off := rapid.IntRange(0, len(p)-1).Draw(rt, "off")
			n := rapid.IntRange(0, len(p)-off).Draw(rt, "n")
			got := bytes.Repeat([]byte{0xee}, n)
			if _, err := im.ReadAt(got, int64(off)); err != nil || !bytes.Equal(got, p[off:off+n]) {
				rt.Fatalf("%d bytes at %d differ: %v", n, off, err)
			}
			at, last := int64(off), blockio.State(255)
			for e, err := range im.Extents(t.Context(), int64(off), int64(n)) {
				if err != nil {
					rt.Fatal(err)
				}
				if e.Offset != at || e.Length <= 0 || e.State == last {
					rt.Fatalf("extent %+v after %d", e, at)
				}
				at, last = e.End(), e.State
				if e.State == blockio.Hole && !blockio.IsZero(p[e.Offset:e.End()]) {
					rt.Fatalf("extent %+v holds data", e)
				}
			}
			if at != int64(off+n) {
				rt.Fatalf("extents end at %d, want %d", at, off+n)
			}
		}
	})
}

// TestHugeImages makes images whose size alone must cost nothing.
func TestHugeImages(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewMemVolume()
	s := newStore(t, testOptions(v, ""))
	const size = 64 << 40
	ses, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer ses.Close()
	w, err := ses.CreateImage(size)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, cas.WindowSize)
	copy(block[1<<20:], guest(128<<10, 9))
	last := int64(size/cas.WindowSize - 1)
	for i := range int64(300) { // more than a page of the directory
		if err := w.PutWindow(t.Context(), last-i*1000, block); err != nil {
			t.Fatal(err)
		}
	}
	info, err := w.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	im, err := s.OpenImage(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	got := make([]byte, cas.WindowSize)
	for i := range int64(300) {
		if _, err := im.ReadAt(got, (last-i*1000)*cas.WindowSize); err != nil || !bytes.Equal(got, block) {
			t.Fatalf("window %d differs: %v", last-i*1000, err)
		}
	}
	n := 0
	for _, err := range im.Extents(t.Context(), 0, size) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n < 600 || n > 300*1200 {
		t.Errorf("%d extents", n)
	}
	if _, err := ses.CreateImage(1 << 62); err == nil {
		t.Error("an image of 2^62 bytes")
	}
	if _, err := im.ReadAt(got, -1); err == nil {
		t.Error("read at -1")
	}
}
