package cas_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// rot turns over a byte of each row of a shard's segments that is wanted.
func rot(t *testing.T, v *blockiotest.MemVolume, unit int, rows ...int) {
	t.Helper()
	for e, err := range v.List(t.Context(), "segments") {
		if err != nil {
			t.Fatal(err)
		}
		rewrite(t, v, e.Name, func(p []byte) {
			for _, row := range rows {
				if at := row*unit + 77; at < len(p) {
					p[at] ^= 2
				}
			}
		})
	}
}

// TestUnreadableRanges loses rows of segments for good: the guest ranges that are
// told are exactly those that cannot be read, of each image that has them.
func TestUnreadableRanges(t *testing.T) {
	t.Parallel()
	set := newShardSet(t, 2, 1)
	v, err := set.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(t, stripedOptions(v))
	disks := map[cas.ManifestID][]byte{}
	for name, p := range map[string][]byte{"a": guest(6<<20, 1), "b": append(guest(3<<20, 2), guest(6<<20, 1)[:3<<20]...)} {
		disks[mustPut(t, s, name, p).ID] = p
	}
	if err := errors.Join(s.Close(), v.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	for _, shard := range []int{0, 2} {
		rot(t, set.shards[shard], 16<<10, 3, 20, 21, 60)
	}
	if v, err = set.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := v.Scrub(t.Context(), stripe.ScrubOptions{Repair: true})
	if err != nil || len(r.Lost) == 0 {
		t.Fatalf("scrub: %+v, error %v", r, err)
	}
	var lost []cas.ObjectRange
	for _, l := range r.Lost {
		lost = append(lost, cas.ObjectRange(l))
	}
	s = openStore(t, stripedOptions(v))
	told, err := s.Unreadable(t.Context(), lost)
	if err != nil {
		t.Fatal(err)
	}
	for id, p := range disks {
		wantUnreadable(t, s, id, p, told)
	}
}

// wantUnreadable reads an image block by block: errors are met where they were told
// of, and nowhere else.
func wantUnreadable(t *testing.T, s *cas.Store, id cas.ManifestID, p []byte, told []cas.GuestRange) {
	t.Helper()
	im, err := s.OpenImage(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	failed := 0
	block := make([]byte, blockio.BlockSize)
	for off := int64(0); off < im.Size(); off += blockio.BlockSize {
		in := false
		for _, r := range told {
			in = in || r.Manifest == id && off >= r.Offset && off < r.Offset+r.Length
		}
		n, err := im.ReadAt(block, off)
		switch {
		case in != (err != nil):
			t.Fatalf("image %v at %d: told of %t, error %v", id, off, in, err)
		case err != nil:
			failed++
		case !bytes.Equal(block[:n], p[off:off+int64(n)]):
			t.Fatalf("image %v at %d has other bytes", id, off)
		}
	}
	if failed == 0 {
		t.Errorf("image %v has lost nothing", id)
	}
}

// TestVerifyRate gives the reads of chunks a budget that will never do.
func TestVerifyRate(t *testing.T) {
	t.Parallel()
	s := newStore(t, testOptions(blockiotest.NewMemVolume(), ""))
	mustPut(t, s, "a", guest(3<<20, 1))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := s.VerifyChunks(ctx, cas.VerifyOptions{Limit: blockio.NewLimiter(1)})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("chunks are read at a byte a second: %v", err)
	}
}
