package cas_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
)

// shares makes two images, the second of the first's windows and one of its own,
// and names a segment that they share.
func shares(t *testing.T, s *cas.Store, v blockio.Volume) (first, second cas.ManifestID, segment string) {
	t.Helper()
	p := guest(2*cas.WindowSize, 1)
	first = mustPut(t, s, "first", p).ID
	segment = segmentNames(t, v)[0]
	return first, mustPut(t, s, "second", slices.Concat(p, guest(cas.WindowSize, 2))).ID, segment
}

// A Verifier reads once what images share, and by any cut finds them whole.
func TestVerifierReadsOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		cut  cas.Cut
		once bool
	}{
		{"canonical", cas.Cut{}, true},
		{"fixed", cas.Cut{Kind: cas.CutFixed, Max: 64 << 10}, false}, // the digest needs the bytes
	} {
		t.Run(c.name, func(t *testing.T) {
			volume := blockiotest.NewMemVolume()
			opts := testOptions(volume, "")
			opts.Cut = c.cut
			s := newStore(t, opts)
			first, second, _ := shares(t, s, volume)
			v := s.NewVerifier()
			read := func(id cas.ManifestID) int64 {
				before := s.Counts().ReadChunks
				if err := v.Verify(t.Context(), id); err != nil {
					t.Fatal(err)
				}
				return s.Counts().ReadChunks - before
			}
			one, more, again := read(first), read(second), read(first)
			switch {
			case one == 0 || more == 0:
				t.Errorf("%d chunks were read of the first image, %d of the second", one, more)
			case c.once && (more >= one || again != 0):
				t.Errorf("%d chunks were read, then %d that are new, then %d", one, more, again)
			case !c.once && (more <= one || again != one):
				t.Errorf("%d chunks were read, then %d, then %d", one, more, again)
			}
		})
	}
}

// A wrong chunk spoils every image that has it, in any order.
func TestVerifierFindsSharedDamage(t *testing.T) {
	for _, cut := range []cas.Cut{{}, {Kind: cas.CutFixed, Max: 64 << 10}} {
		v := blockiotest.NewMemVolume()
		opts := testOptions(v, "")
		opts.NoCompression, opts.Cut = true, cut
		s := newStore(t, opts)
		first, second, segment := shares(t, s, v)
		other := mustPut(t, s, "other", guest(cas.WindowSize, 3)).ID
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		forgeFirst(t, v, segment)
		s = openStore(t, opts)
		for _, ids := range [][]cas.ManifestID{{first, second, first}, {second, first}} {
			verifier := s.NewVerifier()
			if err := verifier.Verify(t.Context(), other); err != nil {
				t.Errorf("an image without the chunk: %v", err)
			}
			for _, id := range ids {
				if err := verifier.Verify(t.Context(), id); !errors.Is(err, cas.ErrCorrupt) {
					t.Errorf("error %v, want %v", err, cas.ErrCorrupt)
				}
			}
		}
	}
}

// A window that shares only some of its chunks is read all the same.
func TestVerifierReadsTheRest(t *testing.T) {
	v := blockiotest.NewMemVolume()
	opts := testOptions(v, "")
	opts.NoCompression = true
	s := newStore(t, opts)
	p := guest(cas.WindowSize, 1)
	first := mustPut(t, s, "first", p).ID
	known := segmentNames(t, v)
	second := mustPut(t, s, "second", slices.Concat(p[:cas.WindowSize/2], guest(cas.WindowSize/2, 2))).ID
	fresh := slices.DeleteFunc(segmentNames(t, v), func(name string) bool { return slices.Contains(known, name) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	forgeFirst(t, v, fresh[0])
	s = openStore(t, opts)
	verifier := s.NewVerifier()
	if err := verifier.Verify(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(t.Context(), second); !errors.Is(err, cas.ErrCorrupt) {
		t.Errorf("error %v, want %v", err, cas.ErrCorrupt)
	}
}

// What was read before and is still in memory is read again.
func TestVerifyReadsWhatIsCached(t *testing.T) {
	v := blockiotest.NewMemVolume()
	p := guest(64<<10, 1)
	s := newStore(t, testOptions(v, ""))
	id := mustPut(t, s, "a", p).ID
	im, err := s.OpenImage(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = im.Close() })
	for off := int64(0); off < im.Size(); off += 4 << 10 {
		wantBlock(t, im, p, off)
	}
	n := countReads(v)
	for off := int64(0); off < im.Size(); off += 4 << 10 {
		wantBlock(t, im, p, off)
	}
	if n.Load() != 0 {
		t.Fatalf("%d reads of what was read before", n.Load())
	}
	if err := s.Verify(t.Context(), id); err != nil {
		t.Error(err)
	}
	if n.Load() == 0 {
		t.Error("nothing was read")
	}
	const inFirstPart = 128 + 30
	rewrite(t, v, "manifests/"+id.String(), func(p []byte) { p[inFirstPart] ^= 1 })
	if err := s.Verify(t.Context(), id); !errors.Is(err, cas.ErrCorrupt) {
		t.Errorf("a damaged manifest: %v, want %v", err, cas.ErrCorrupt)
	}
}
