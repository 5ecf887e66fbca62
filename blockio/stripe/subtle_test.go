package stripe_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// TestLostRowOfMissingShard rebuilds a shard that is missing of an object with a
// lost row: the unit that cannot be rebuilt does not look right afterwards.
func TestLostRowOfMissingShard(t *testing.T) {
	s := newSet(t, 4, 2)
	p := pattern(3*4*unit, 5)
	put(t, s.open(t), "seg/a", p)
	if err := s.shards[1].Remove(t.Context(), "seg/a"); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{3, 5} {
		flip(t, s.shards[i], "seg/a", unit+7)
	}
	v := s.open(t)
	wantLost := []stripe.Range{
		{Object: "seg/a", Offset: 5 * unit, Length: unit},
		{Object: "seg/a", Offset: 7 * unit, Length: unit},
	}
	if r := scrub(t, v, stripe.ScrubOptions{Repair: true}); !cmp.Equal(wantLost, r.Lost) {
		t.Errorf("repairing scrub: lost %v, want %v", r.Lost, wantLost)
	}
	r := scrub(t, v, stripe.ScrubOptions{})
	if r.Found != 3 || !cmp.Equal(wantLost, r.Lost) {
		t.Errorf("scrub after the repair: %d found, lost %v; want 3, %v", r.Found, r.Lost, wantLost)
	}
	// All other rows have all their shards again.
	wantRow := func(v *stripe.Volume, off int64) {
		o, err := v.Open(t.Context(), "seg/a")
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		got := make([]byte, 4*unit)
		if _, err := blockio.ReconstructAt(o, got, off); err != nil || string(got) != string(p[off:off+4*unit]) {
			t.Errorf("row at %d: %v", off, err)
		}
	}
	// When the others are readable after all, the lost unit is too.
	for _, i := range []int{3, 5} {
		flip(t, s.shards[i], "seg/a", unit+7)
	}
	wantRow(s.open(t), 4*unit)
	if r := scrub(t, s.open(t), stripe.ScrubOptions{Repair: true}); r.Found != 1 || !r.Clean() {
		t.Errorf("scrub after the others are right again: %+v", r)
	}
	wantWhole(t, s.open(t))
	wantRow(s.without(0, 2).open(t), 0)
	wantRow(s.without(0, 2).open(t), 8*unit)
}

// TestLostTail loses the tail row: what is reported ends where the object does.
func TestLostTail(t *testing.T) {
	s := newSet(t, 4, 2)
	put(t, s.open(t), "seg/a", pattern(4*unit+5000, 5))
	for _, i := range []int{0, 1, 2} {
		flip(t, s.shards[i], "seg/a", unit+7)
	}
	r := scrub(t, s.open(t), stripe.ScrubOptions{})
	if diff := cmp.Diff([]stripe.Range{
		{Object: "seg/a", Offset: 4 * unit, Length: 4096},
		{Object: "seg/a", Offset: 4*unit + 4096, Length: 904},
	}, r.Lost); diff != "" {
		t.Error(diff)
	}
}

// TestSecondCommitAfterDegraded races two writers of a name, of which the first
// misses a shard: the second gets nothing onto that shard either.
func TestSecondCommitAfterDegraded(t *testing.T) {
	s := newSet(t, 4, 2)
	v := s.open(t)
	var writers []blockio.Writer
	for i := range 2 {
		w, err := v.Create(t.Context(), "seg/a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteAt([]byte{byte(i)}, 0); err != nil {
			t.Fatal(err)
		}
		writers = append(writers, w)
	}
	s.shards[3].Inject(blockiotest.Fault{Ops: blockiotest.OpRename, N: 1})
	if err := writers[0].Commit(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	renames := s.shards[3].Count(blockiotest.OpRename)
	if err := writers[1].Commit(t.Context(), 1); !errors.Is(err, blockio.ErrExists) {
		t.Errorf("second commit: %v, want ErrExists", err)
	}
	if s.shards[3].Count(blockiotest.OpRename) != renames {
		t.Error("the second commit reached the shard that the first missed")
	}
	want(t, v, "seg/a", []byte{0})
}

// TestPaddingIsZeros writes small objects with memory that was used before.
func TestPaddingIsZeros(t *testing.T) {
	s := newSet(t, 4, 2)
	v := s.open(t)
	put(t, v, "seg/before", pattern(4*4096-1, 1))
	put(t, v, "seg/small", []byte("abc"))
	for i := range 4 {
		p, err := blockio.ReadObject(t.Context(), s.shards[i], "seg/small", 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		p = p[:4096]
		if i == 0 {
			p = p[3:]
		}
		if !blockio.IsZero(p) {
			t.Errorf("shard %d: the padding is not zeros", i)
		}
	}
}

// TestWrongParity has parity that is not of the data, with a checksum that says
// all is well: what it gives is held against the checksum of the lost unit.
func TestWrongParity(t *testing.T) {
	s := newSet(t, 2, 1)
	put(t, s.open(t), "seg/a", pattern(2*2*unit, 1))
	change(t, s.shards[2], "seg/a", func(p []byte) []byte {
		p[10] ^= 1
		binary.LittleEndian.PutUint64(p[2*unit:], xxhash.Sum64(p[:unit]))
		fixTrailer(p)
		return p
	})
	flip(t, s.shards[0], "seg/a", 500)
	o, err := s.open(t).Open(t.Context(), "seg/a")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if _, err := blockio.ReconstructAt(o, make([]byte, 100), 0); !errors.Is(err, stripe.ErrLost) {
		t.Errorf("read: %v, want ErrLost", err)
	}
}

// TestTrailerDamage spoils each part of a trailer, and puts the shard of another
// position or of another object in the place: it is known as what it is, and
// repaired.
func TestTrailerDamage(t *testing.T) {
	s := newSet(t, 4, 2)
	p := pattern(6*4*unit, 5)
	v := s.open(t)
	put(t, v, "seg/a", p)
	put(t, v, "seg/b", pattern(6*4*unit, 6))
	raw := func(i int, name string) []byte {
		b, err := blockio.ReadObject(t.Context(), s.shards[i], name, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := raw(1, "seg/a")
	at := func(back int) []byte {
		b := slices.Clone(good)
		b[len(b)-back] ^= 4
		return b
	}
	for name, bad := range map[string][]byte{
		"checksum table": at(128 + len("seg/a") + 6*8), "name": at(128 + 1), "magic": at(128), "size": at(80),
		"generation": at(96), "last byte": at(1), "cut": good[:len(good)-1], "empty": {}, "longer": append(at(1), 0),
		"other position": raw(2, "seg/a"), "other object": raw(1, "seg/b"),
	} {
		c := s.clone()
		change(t, c.shards[1], "seg/a", func([]byte) []byte { return bad })
		v := c.open(t)
		want(t, v, "seg/a", p)
		r := scrub(t, v, stripe.ScrubOptions{Repair: true})
		if len(r.Findings) != 1 || r.Findings[0].Damage != stripe.DamageTrailer || r.Findings[0].Shard != 1 || !r.Clean() {
			t.Errorf("%s: %+v", name, r.Findings)
		}
		wantWhole(t, v)
	}
}
