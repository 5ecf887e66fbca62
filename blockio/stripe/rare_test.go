package stripe_test

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// TestStaleParityIsNoHelp has a parity shard that missed the last write of a name,
// which had the same size: it must not help to rebuild what a data shard cannot
// deliver when that shows only while the object is open.
func TestStaleParityIsNoHelp(t *testing.T) {
	s := newSet(t, 2, 2)
	v := s.open(t)
	put(t, v, "seg/a", pattern(2*unit, 1))
	closeVolume(t, v)
	away := s.shards[3]
	s.shards[3] = nil
	v = s.open(t)
	if err := v.Remove(t.Context(), "seg/a"); err != nil {
		t.Fatal(err)
	}
	p := pattern(2*unit, 2)
	put(t, v, "seg/a", p)
	closeVolume(t, v)

	s.shards[3] = away
	v = s.open(t)
	o, err := v.Open(t.Context(), "seg/a")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	got := make([]byte, len(p))
	fault := blockiotest.Fault{Ops: blockiotest.OpRead | blockiotest.OpOpen, N: 1, Err: syscall.EIO, Sticky: true}
	s.shards[0].Inject(fault)
	if _, err := o.ReadAt(got, 0); err != nil || !bytes.Equal(got, p) {
		t.Errorf("with one good parity shard: right %t, error %v", bytes.Equal(got, p), err)
	}
	s.shards[2].Inject(fault)
	if _, err := o.ReadAt(got, 0); !errors.Is(err, stripe.ErrLost) {
		t.Errorf("with a stale one alone: right %t, error %v", bytes.Equal(got, p), err)
	}
}

// TestCommitTakenBack fails the commits of so many shards that the others are
// enough to read from and too few to acknowledge: the object is not there.
func TestCommitTakenBack(t *testing.T) {
	s := newSet(t, 4, 2)
	v := s.open(t)
	put(t, v, "seg/first", pattern(unit, 1))
	for _, i := range []int{1, 5} {
		s.shards[i].Inject(blockiotest.Fault{Ops: blockiotest.OpRename, N: 1, Err: syscall.EIO})
	}
	if err := blockio.WriteObject(t.Context(), v, "seg/a", pattern(9*unit, 2)); !errors.Is(err, stripe.ErrDegraded) {
		t.Fatalf("a commit to 4 shards of 4+2: %v", err)
	}
	wantNone(t, v, "seg/a")
	closeVolume(t, v)
	wantNone(t, s.open(t), "seg/a")
}

// TestFailedReadIsQueued has a shard fail a read of an open object.
func TestFailedReadIsQueued(t *testing.T) {
	s := newSet(t, 2, 1)
	v := s.open(t)
	p := pattern(4*unit, 1)
	put(t, v, "seg/a", p)
	o, err := v.Open(t.Context(), "seg/a")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	s.shards[1].Inject(blockiotest.Fault{Ops: blockiotest.OpRead, N: 1, Err: syscall.EIO})
	got := make([]byte, len(p))
	if _, err := o.ReadAt(got, 0); err != nil || !bytes.Equal(got, p) {
		t.Errorf("right %t, error %v", bytes.Equal(got, p), err)
	}
	if n := v.Stats().Queued; n != 1 {
		t.Errorf("%d objects wait for healing, expected 1", n)
	}
}

// TestMaybeAcknowledgedStays loses more shards of an object than it had to spare,
// and has them replaced: the rest is kept, since the lost ones may be found again.
func TestMaybeAcknowledgedStays(t *testing.T) {
	s := newSet(t, 4, 2)
	v := s.open(t)
	put(t, v, "seg/first", pattern(unit, 1))
	s.shards[5].Inject(blockiotest.Fault{Ops: blockiotest.OpWrite, N: 1, Err: syscall.EIO})
	p := pattern(9*unit, 2)
	put(t, v, "seg/a", p)
	closeVolume(t, v)

	lost := []*blockiotest.MemVolume{s.shards[0], s.shards[1]}
	s.shards[0], s.shards[1] = blockiotest.NewMemVolume(), blockiotest.NewMemVolume()
	v = s.open(t)
	put(t, v, "seg/b", pattern(unit, 3))
	if r, err := v.Heal(t.Context(), stripe.HealOptions{}); err != nil || r.Removed != 0 {
		t.Errorf("heal: %+v, error %v", r, err)
	}
	scrub(t, v, stripe.ScrubOptions{Repair: true})
	for i := 2; i < 5; i++ {
		if _, err := s.shards[i].Open(t.Context(), "seg/a"); err != nil {
			t.Errorf("shard %d: %v", i, err)
		}
	}
	closeVolume(t, v)
	s.shards[0] = lost[0]
	want(t, s.open(t), "seg/a", p)
}

// TestRowsAreReadOnce reads an object from unit to unit while data shards are
// missing: to rebuild the lost ones, the others are not read again.
func TestRowsAreReadOnce(t *testing.T) {
	const rows = 16
	s := newSet(t, 4, 2)
	p := pattern(rows*4*unit+5000, 1)
	put(t, s.open(t), "seg/a", p)
	left := s.without(0, 3)
	v := left.open(t)
	o, err := v.Open(t.Context(), "seg/a")
	if err != nil {
		t.Fatal(err)
	}
	reads := func() (n int) {
		for _, i := range left.present() {
			n += left.shards[i].Count(blockiotest.OpRead)
		}
		return n
	}
	before := reads()
	got := make([]byte, unit)
	for off := 0; off < len(p); off += unit {
		n, err := o.ReadAt(got, int64(off))
		if !bytes.Equal(got[:n], p[off:off+n]) || n < min(unit, len(p)-off) {
			t.Fatalf("at %d: %d bytes, error %v", off, n, err)
		}
	}
	if n := reads() - before; n > 4*(rows+1) {
		t.Errorf("%d reads of units for %d rows", n, rows+1)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	closeVolume(t, v)
}
