package stripe_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/stripe"
)

func wantNone(t testing.TB, v *stripe.Volume, name string) {
	t.Helper()
	if _, err := v.Open(t.Context(), name); !errors.Is(err, blockio.ErrNotFound) {
		t.Errorf("open %s: %v, want ErrNotFound", name, err)
	}
	kind, _, _ := strings.Cut(name, "/")
	for e, err := range v.List(t.Context(), kind) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Name == name {
			t.Errorf("%s is listed", name)
		}
	}
}

func closeVolume(t testing.TB, v *stripe.Volume) {
	t.Helper()
	if err := v.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// redundant are shapes with parity; some have more parity than data, so that a
// single shard is a whole object.
var redundant = []struct{ k, m int }{{2, 1}, {4, 2}, {1, 1}, {1, 2}, {2, 2}, {1, 4}}

// changeMore removes, replaces and adds objects; before it there were a, b and c.
func changeMore(t testing.TB, v *stripe.Volume) {
	t.Helper()
	for _, name := range []string{"seg/a", "seg/b"} {
		if err := v.Remove(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	put(t, v, "seg/b", []byte("another b"))
	put(t, v, "seg/d", pattern(70_000, 4))
}

func wantChanged(t testing.TB, v *stripe.Volume) {
	t.Helper()
	wantNone(t, v, "seg/a")
	want(t, v, "seg/b", []byte("another b"))
	want(t, v, "seg/c", pattern(70_000, 3))
	want(t, v, "seg/d", pattern(70_000, 4))
}

func firstObjects(t testing.TB, v *stripe.Volume) {
	t.Helper()
	for i, name := range []string{"seg/a", "seg/b", "seg/c"} {
		put(t, v, name, pattern(70_000, uint64(i+1)))
	}
}

// TestRolledBackShards puts up to m shards back to an older state, of which
// nothing that is gone may return.
func TestRolledBackShards(t *testing.T) {
	for _, c := range redundant {
		t.Run(fmt.Sprintf("%d+%d", c.k, c.m), func(t *testing.T) {
			t.Parallel()
			base := newSet(t, c.k, c.m)
			v := base.open(t)
			firstObjects(t, v)
			old := base.clone()
			changeMore(t, v)
			closeVolume(t, v)
			for back := range subsets(c.k+c.m, c.m) {
				s := base.clone()
				for _, i := range back {
					s.shards[i] = old.clone().shards[i]
				}
				v := s.open(t)
				wantChanged(t, v)
				if len(back) > c.k {
					// The others are too few to tell what is gone.
					r, err := v.Heal(t.Context(), stripe.HealOptions{})
					if !errors.Is(err, stripe.ErrDegraded) || len(r.Errs) == 0 {
						t.Errorf("heal: %+v, %v; want ErrDegraded", r, err)
					}
					wantChanged(t, v)
					continue
				}
				if r := heal(t, v); r.Left > 0 || len(r.Errs) > 0 {
					t.Errorf("heal: %+v", r)
				}
				wantChanged(t, v)
				wantWhole(t, v)
				for _, i := range back {
					if _, err := s.shards[i].Open(t.Context(), "seg/a"); !errors.Is(err, blockio.ErrNotFound) {
						t.Errorf("shard %d still has what was removed: %v", i, err)
					}
				}
				if t.Failed() {
					t.Fatalf("shards %v put back", back)
				}
			}
		})
	}
}

// TestAbsentShards changes objects while shards are away; what they bring back
// does not count, but what they have of present objects does.
func TestAbsentShards(t *testing.T) {
	for _, c := range redundant {
		for away := range subsets(c.k+c.m, c.m) {
			if len(away) == 0 || c.k+c.m-len(away) < max(c.k+1, c.m) {
				continue
			}
			t.Run(fmt.Sprintf("%d+%d without %v", c.k, c.m, away), func(t *testing.T) {
				t.Parallel()
				s := newSet(t, c.k, c.m)
				firstObjects(t, s.open(t))
				v := s.without(away...).open(t)
				changeMore(t, v)
				wantChanged(t, v)

				v = s.open(t) // they are back
				wantChanged(t, v)
				for _, i := range away {
					if st := v.Shards()[i].Status; st != stripe.ShardLagging {
						t.Errorf("shard %d is %v, want lagging", i, st)
					}
				}
				// Others may be lost now: seg/c is on those that lag too.
				others := s.without(pick(c.k+c.m, c.m-len(away), away)...).open(t)
				want(t, others, "seg/c", pattern(70_000, 3))
				wantNone(t, others, "seg/a")

				if r := heal(t, v); r.Left > 0 || len(r.Errs) > 0 {
					t.Errorf("heal: %+v", r)
				}
				wantWhole(t, v)
				wantChanged(t, s.without(pick(c.k+c.m, c.m, away)...).open(t))
			})
		}
	}
}

// TestFailedRemoval has one shard fail every removal: the object is gone all the
// same, at once, after opening again, and when that shard is all there is of it.
func TestFailedRemoval(t *testing.T) {
	for _, c := range []struct{ k, m int }{{4, 2}, {1, 2}} {
		t.Run(fmt.Sprintf("%d+%d", c.k, c.m), func(t *testing.T) {
			t.Parallel()
			s := newSet(t, c.k, c.m)
			v := s.open(t)
			firstObjects(t, v)
			s.shards[1].Inject(blockiotest.Fault{Ops: blockiotest.OpRemove, N: 1, Sticky: true, Err: syscall.EIO})
			if err := v.Remove(t.Context(), "seg/a"); err != nil {
				t.Fatal(err)
			}
			wantNone(t, v, "seg/a")
			s.shards[1].ClearFaults()
			v = s.open(t)
			wantNone(t, v, "seg/a")
			if err := blockio.WriteObject(t.Context(), v, "seg/a", []byte("new")); err != nil {
				t.Fatal(err)
			}
			want(t, v, "seg/a", []byte("new"))
			if r := heal(t, v); r.Left > 0 || len(r.Errs) > 0 {
				t.Errorf("heal: %+v", r)
			}
			want(t, v, "seg/a", []byte("new"))
			wantWhole(t, v)
		})
	}
}

// TestRemovalRefused has so many shards fail a removal that those left cannot
// vouch for it.
func TestRemovalRefused(t *testing.T) {
	s := newSet(t, 4, 2)
	v := s.open(t)
	firstObjects(t, v)
	for _, i := range []int{1, 2} {
		s.shards[i].Inject(blockiotest.Fault{Ops: blockiotest.OpRemove, N: 1, Sticky: true, Err: syscall.EIO})
	}
	if err := v.Remove(t.Context(), "seg/a"); !errors.Is(err, stripe.ErrDegraded) || !errors.Is(err, syscall.EIO) {
		t.Errorf("remove: %v, want ErrDegraded and EIO", err)
	}
}

// TestTooFewForChanges has just k shards: reads go on, changes are refused.
func TestTooFewForChanges(t *testing.T) {
	s := newSet(t, 4, 2)
	firstObjects(t, s.open(t))
	v := s.without(0, 5).open(t)
	want(t, v, "seg/a", pattern(70_000, 1))
	if _, err := v.Create(t.Context(), "seg/x"); !errors.Is(err, stripe.ErrDegraded) {
		t.Errorf("create: %v, want ErrDegraded", err)
	}
	if err := v.Remove(t.Context(), "seg/a"); !errors.Is(err, stripe.ErrDegraded) {
		t.Errorf("remove: %v, want ErrDegraded", err)
	}
	want(t, v, "seg/a", pattern(70_000, 1))
}

// TestCommitQuorum has shards fail their commits: one is done without, two are
// too many, and then nothing is left of the object.
func TestCommitQuorum(t *testing.T) {
	for failing := range 4 {
		s := newSet(t, 4, 2)
		v := s.open(t)
		put(t, v, "seg/first", nil)
		for i := range failing {
			s.shards[2*i].Inject(blockiotest.Fault{Ops: blockiotest.OpRename, N: 1, Err: syscall.EIO})
		}
		err := blockio.WriteObject(t.Context(), v, "seg/a", pattern(90_000, 1))
		if failing < 2 {
			if err != nil {
				t.Errorf("%d shards fail: %v", failing, err)
			}
			want(t, v, "seg/a", pattern(90_000, 1))
			continue
		}
		if !errors.Is(err, stripe.ErrDegraded) || !errors.Is(err, syscall.EIO) {
			t.Errorf("%d shards fail: %v, want ErrDegraded and EIO", failing, err)
		}
		wantNone(t, v, "seg/a")
		for i, sh := range s.shards {
			if _, err := sh.Open(t.Context(), "seg/a"); !errors.Is(err, blockio.ErrNotFound) {
				t.Errorf("%d shards fail: shard %d keeps the object: %v", failing, i, err)
			}
		}
		put(t, v, "seg/a", []byte("again"))
	}
}

// TestFullDisks fills all shards: writes say so, removals and reads go on.
func TestFullDisks(t *testing.T) {
	for _, reopened := range []bool{false, true} {
		s := newSet(t, 4, 2)
		v := s.open(t)
		firstObjects(t, v)
		if reopened {
			v = s.open(t)
		}
		for _, sh := range s.shards {
			sh.Inject(blockiotest.NoSpace(1))
		}
		if err := blockio.WriteObject(t.Context(), v, "seg/x", []byte("x")); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("write to full disks: %v, want ENOSPC", err)
		}
		want(t, v, "seg/a", pattern(70_000, 1))
		if err := v.Remove(t.Context(), "seg/a"); err != nil {
			t.Errorf("remove from full disks: %v", err)
		}
		for _, sh := range s.shards {
			sh.ClearFaults()
		}
		v = s.open(t)
		wantNone(t, v, "seg/a")
		wantNone(t, v, "seg/x")
		want(t, v, "seg/b", pattern(70_000, 2))
		wantWhole(t, v)
	}
}

// TestOneFullDisk goes on without the shard that is full.
func TestOneFullDisk(t *testing.T) {
	s := newSet(t, 4, 2)
	v := s.open(t)
	s.shards[3].Inject(blockiotest.NoSpace(1))
	firstObjects(t, v)
	if st := v.Stats(); st.DegradedWrites != 3 || st.ShardFailures[3] == 0 {
		t.Errorf("stats %+v, want 3 degraded writes and failures of shard 3", st)
	}
	want(t, v, "seg/a", pattern(70_000, 1))
	st, err := v.State(t.Context())
	if err != nil || st.Risks[1].Objects != 3 || st.Shards[3].Status != stripe.ShardFailed {
		t.Errorf("state %+v, %v", st, err)
	}
	s.shards[3].ClearFaults()
	if r := heal(t, v); r.Rebuilt != 3 || r.Left != 0 {
		t.Errorf("heal: %+v", r)
	}
	wantWhole(t, v)
}

// TestRefusedShards opens stripes with shards that do not belong.
func TestRefusedShards(t *testing.T) {
	s, other := newSet(t, 2, 1), newSet(t, 2, 1)
	shape := newSet(t, 1, 2)
	put(t, s.open(t), "seg/a", []byte("x"))
	strange := blockiotest.NewMemVolume()
	if err := blockio.WriteObject(t.Context(), strange, "seg/a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	newer := s.clone().shards[1]
	change(t, newer, "meta/shard", func(p []byte) []byte {
		p[8] = 2
		return reseal(p)
	})
	for _, c := range []struct {
		name   string
		shards []*blockiotest.MemVolume
		err    error
		says   string
	}{
		{"foreign", []*blockiotest.MemVolume{s.shards[0], other.shards[1], s.shards[2]}, stripe.ErrForeign, "shard 1 (disk1)"},
		{"swapped", []*blockiotest.MemVolume{s.shards[1], s.shards[0], s.shards[2]}, stripe.ErrForeign, "shard 0 (disk0)"},
		{"twice", []*blockiotest.MemVolume{s.shards[0], s.shards[0], s.shards[2]}, stripe.ErrForeign, "shard 1 (disk1)"},
		{"of another shape", []*blockiotest.MemVolume{s.shards[0], s.shards[1], shape.shards[2]}, stripe.ErrForeign, "shard 2 (disk2)"},
		{"without identity", []*blockiotest.MemVolume{s.shards[0], strange, s.shards[2]}, stripe.ErrForeign, "shard 1 (disk1)"},
		{"of a newer version", []*blockiotest.MemVolume{s.shards[0], newer, s.shards[2]}, stripe.ErrNewerVersion, "shard 1 (disk1)"},
		{"too few", s.shards[:2], nil, "2 directories for a stripe of 2+1"},
		{"all empty", []*blockiotest.MemVolume{blockiotest.NewMemVolume(), nil, nil}, stripe.ErrNoStripe, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := (&set{shards: c.shards}).tryOpen(t.Context())
			if err == nil || c.err != nil && !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("open: %v, want %v that says %q", err, c.err, c.says)
			}
		})
	}
	if err := stripe.Init(t.Context(), s.volumes(), stripe.Options{K: 2, M: 1}); err == nil || !strings.Contains(err.Error(), "shard 0") {
		t.Errorf("init over a stripe: %v", err)
	}
}

// TestDamagedIdentity spoils the identity of one shard: it is not refused, its
// objects count, and Heal takes it back.
func TestDamagedIdentity(t *testing.T) {
	s := newSet(t, 2, 1)
	firstObjects(t, s.open(t))
	flip(t, s.shards[1], "meta/shard", 50)
	v := s.open(t)
	want(t, v, "seg/a", pattern(70_000, 1))
	want(t, s.without(0).open(t), "seg/a", pattern(70_000, 1))
	if r := heal(t, v); r.Left > 0 || len(r.Errs) > 0 {
		t.Errorf("heal: %+v", r)
	}
	changeMore(t, v)
	wantChanged(t, s.open(t))
	wantWhole(t, s.open(t))
}

// TestLeftoversNeedAll leaves a shard of an object that no others have: it goes
// while all shards are there, and only then.
func TestLeftoversNeedAll(t *testing.T) {
	s := newSet(t, 4, 2)
	v := s.open(t)
	firstObjects(t, v)
	for i := range 4 {
		if err := s.shards[i].Remove(t.Context(), "seg/a"); err != nil {
			t.Fatal(err)
		}
	}
	v = s.without(0).open(t)
	if r := heal(t, v); r.Removed != 0 {
		t.Errorf("heal without a shard: %+v", r)
	}
	if _, err := s.shards[5].Open(t.Context(), "seg/a"); err != nil {
		t.Errorf("what may be wanted is gone: %v", err)
	}
	v = s.open(t)
	wantNone(t, v, "seg/a")
	heal(t, v)          // shard 0 missed nothing, but has to join
	r := heal(t, v)     // now all are whole
	if r.Removed == 0 { // or the first time already
		if _, err := s.shards[5].Open(t.Context(), "seg/a"); !errors.Is(err, blockio.ErrNotFound) {
			t.Errorf("leftover: %v, want it gone", err)
		}
	}
	wantWhole(t, v)
}
