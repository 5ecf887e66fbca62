package stripe_test

import (
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// FuzzShard has any bytes for a shard's object, with the checksums of its trailer
// made right when fix says so: it is refused, or an object that keeps its
// promises; and it never takes the place of what the others have.
func FuzzShard(f *testing.F) {
	golden, err := os.ReadFile(goldenFile(0, "seg/golden"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden, false)
	f.Add(golden[:len(golden)-128], true)
	f.Add(golden[len(golden)-128:], true)
	for _, at := range []int{8, 12, 16, 32, 48, 49, 55, 56, 58, 60, 62, 64, 66, 68, 80, 120} {
		p := append([]byte(nil), golden...)
		p[len(p)-128+at] ^= 0x81
		f.Add(p, true)
		f.Add(p, false)
	}
	f.Fuzz(func(t *testing.T, p []byte, fix bool) {
		s := writeGolden(t)
		if fix {
			fixTrailer(p)
		}
		change(t, s.shards[0], "seg/golden", func([]byte) []byte { return p })
		v := s.open(t)
		wantChecked(t, v, "seg/golden", goldenContents())
		for _, err := range v.List(t.Context(), "seg") {
			if err != nil {
				t.Error(err)
			}
		}
		alone := &set{shards: []*blockiotest.MemVolume{s.shards[0], s.shards[1], nil}}
		o, err := alone.open(t).Open(t.Context(), "seg/golden")
		if err != nil {
			if !errors.Is(err, stripe.ErrLost) {
				t.Errorf("open: %v, want ErrLost", err)
			}
			return
		}
		defer o.Close()
		got := make([]byte, o.Size())
		if _, err := blockio.ReconstructAt(o, got, 0); err == nil && string(got) != string(goldenContents()) {
			t.Error("wrong bytes")
		}
	})
}

// fixTrailer makes the checksums of a trailer right, as far as its own sizes
// make sense.
func fixTrailer(p []byte) {
	if len(p) < 128 {
		return
	}
	footer := p[len(p)-128:]
	const rows = 2
	if n := rows*8 + int(binary.LittleEndian.Uint16(footer[66:])); n <= len(p)-128 {
		binary.LittleEndian.PutUint64(footer[72:], xxhash.Sum64(p[len(p)-128-n:len(p)-128]))
	}
	binary.LittleEndian.PutUint64(footer[120:], xxhash.Sum64(footer[:120]))
}

// FuzzIdentity has any bytes for a shard's identity: the shard is refused by
// name, or the objects are what they were.
func FuzzIdentity(f *testing.F) {
	golden, err := os.ReadFile(goldenFile(1, "meta/shard"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden, false)
	f.Add(golden[:100], true)
	for _, at := range []int{8, 12, 16, 32, 34, 36, 38, 40, 44, 48, 55, 56, 63, 64, 95, 96, 120} {
		p := append([]byte(nil), golden...)
		p[at] ^= 0x81
		f.Add(p, true)
		f.Add(p, false)
	}
	f.Fuzz(func(t *testing.T, p []byte, fix bool) {
		s := writeGolden(t)
		if fix && len(p) >= 8 {
			reseal(p)
		}
		change(t, s.shards[1], "meta/shard", func([]byte) []byte { return p })
		v, err := s.tryOpen(t.Context())
		if err != nil {
			if !errors.Is(err, stripe.ErrForeign) && !errors.Is(err, stripe.ErrNewerVersion) {
				t.Errorf("open: %v", err)
			}
			return
		}
		want(t, v, "seg/golden", goldenContents())
	})
}
