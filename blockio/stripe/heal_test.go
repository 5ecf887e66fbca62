package stripe_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/stripe"
)

func scrub(t testing.TB, v *stripe.Volume, opts stripe.ScrubOptions) stripe.ScrubReport {
	t.Helper()
	r, err := v.Scrub(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func heal(t testing.TB, v *stripe.Volume) stripe.HealReport {
	t.Helper()
	r, err := v.Heal(t.Context(), stripe.HealOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantWhole checks that nothing is wrong with any shard.
func wantWhole(t testing.TB, v *stripe.Volume) {
	t.Helper()
	r := scrub(t, v, stripe.ScrubOptions{})
	if r.Found > 0 || !r.Clean() {
		t.Errorf("scrub finds %d things: %v, lost %v, %v", r.Found, r.Findings[:min(5, len(r.Findings))], r.Lost, r.Errs)
	}
	st, err := v.State(t.Context())
	if err != nil || st.Degraded() {
		t.Errorf("state %+v, %v; want nothing degraded", st, err)
	}
}

// TestScrubRepairsFlips makes 10,000 flips, in at most m units of any row: one
// scrub finds and repairs every unit, and the next finds nothing.
func TestScrubRepairsFlips(t *testing.T) {
	const flips, objectSize = 10_000, 6 << 20
	s := newSet(t, 4, 2)
	objs := map[string][]byte{}
	v := s.open(t)
	for i := range 5 {
		name := fmt.Sprintf("seg/%d", i)
		objs[name] = pattern(objectSize+i*4099, uint64(i))
		put(t, v, name, objs[name])
	}
	rng := rand.New(rand.NewPCG(3, 3))
	wrong := 0
	for name, p := range objs {
		rows := (len(p) + 4*unit - 1) / (4 * unit)
		at := make([][]int64, 6)
		hit := make([]map[int]bool, rows)
		for n := 0; n < flips/len(objs); {
			row, shard := rng.IntN(rows-1), rng.IntN(6)
			if hit[row] == nil {
				hit[row] = map[int]bool{}
			}
			if !hit[row][shard] && len(hit[row]) == 2 {
				continue
			}
			if !hit[row][shard] {
				hit[row][shard] = true
				wrong++
			}
			// A bit flipped twice would be right again: each byte once.
			at[shard] = append(at[shard], int64(row*unit+n%unit))
			n++
		}
		for i := range at {
			flip(t, s.shards[i], name, at[i]...)
		}
	}
	v = s.open(t)
	looked := scrub(t, v, stripe.ScrubOptions{})
	if looked.Found != int64(wrong) || looked.Repaired != 0 || len(looked.Lost) > 0 {
		t.Errorf("scrub finds %d of %d wrong units, repairs %d, lost %v", looked.Found, wrong, looked.Repaired, looked.Lost)
	}
	r := scrub(t, v, stripe.ScrubOptions{Repair: true})
	if r.Found != int64(wrong) || r.Repaired != int64(wrong) || !r.Clean() {
		t.Errorf("repairing scrub finds %d of %d wrong units, repairs %d, lost %v, errors %v",
			r.Found, wrong, r.Repaired, r.Lost, r.Errs)
	}
	wantWhole(t, v)
	for name, p := range objs {
		want(t, v, name, p)
	}
}

// TestScrubReportsLost damages m+1 units of one row: the report has the bytes of
// the data units that are wrong. Shards with a lost unit stay as they are, others
// are repaired.
func TestScrubReportsLost(t *testing.T) {
	s := newSet(t, 4, 2)
	p := pattern(3*4*unit+5000, 5)
	put(t, s.open(t), "seg/a", p)
	for _, i := range []int{1, 3, 5} {
		flip(t, s.shards[i], "seg/a", unit+7)
	}
	flip(t, s.shards[1], "seg/a", 2*unit+7)
	flip(t, s.shards[0], "seg/a", 9)
	v := s.open(t)
	wantLost := []stripe.Range{
		{Object: "seg/a", Offset: 5 * unit, Length: unit},
		{Object: "seg/a", Offset: 7 * unit, Length: unit},
	}
	for _, repair := range []bool{false, true, true} {
		r := scrub(t, v, stripe.ScrubOptions{Repair: repair})
		if diff := cmp.Diff(wantLost, r.Lost); diff != "" {
			t.Errorf("repair %v: lost %s", repair, diff)
		}
	}
	r := scrub(t, v, stripe.ScrubOptions{})
	if r.Found != 4 {
		t.Errorf("after the repair %d units are wrong, want the 4 of shards with a lost unit: %v", r.Found, r.Findings)
	}
	o, err := v.Open(t.Context(), "seg/a")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	got := make([]byte, unit)
	for off := int64(0); off+unit <= int64(len(p)); off += unit {
		lost := off == 5*unit || off == 7*unit
		_, err := blockio.ReconstructAt(o, got, off)
		switch {
		case lost && !errors.Is(err, stripe.ErrLost):
			t.Errorf("unit at %d: %v, want ErrLost", off, err)
		case !lost && (err != nil || string(got) != string(p[off:off+unit])):
			t.Errorf("unit at %d: %v", off, err)
		}
	}
}

// TestScrubResumes cancels a scrub after each object and goes on from its
// cursor: every object is looked at, in order.
func TestScrubResumes(t *testing.T) {
	s := newSet(t, 2, 1)
	v := s.open(t)
	objs := objects(2)
	putAll(t, v, objs)
	put(t, v, "a/x", nil)
	put(t, v, "a-b/x", nil)
	var cursors []string
	after, rounds := "", 0
	for rounds = 0; rounds < 100; rounds++ {
		n := 0
		r := scrub(t, v, stripe.ScrubOptions{After: after, Parallel: 1, Progress: func(p stripe.ScrubProgress) {
			if n++; n == 1 {
				after = p.Cursor
				cursors = append(cursors, p.Cursor)
			}
		}})
		if r.Cursor != "" {
			t.Fatalf("a complete scrub ends with cursor %q", r.Cursor)
		}
		if r.Objects == 0 {
			break
		}
	}
	if len(cursors) != len(objs)+2 {
		t.Errorf("%d steps for %d objects: %v", len(cursors), len(objs)+2, cursors)
	}
}

// TestHealReplacedShards puts empty volumes in the place of up to m shards.
func TestHealReplacedShards(t *testing.T) {
	for _, c := range []struct{ k, m int }{{2, 1}, {4, 2}, {1, 1}, {1, 2}} {
		t.Run(fmt.Sprintf("%d+%d", c.k, c.m), func(t *testing.T) {
			t.Parallel()
			base := newSet(t, c.k, c.m)
			objs := objects(c.k)
			putAll(t, base.open(t), objs)
			for gone := range subsets(c.k+c.m, c.m) {
				s := base.clone()
				for _, i := range gone {
					s.shards[i] = blockiotest.NewMemVolume()
				}
				v := s.open(t)
				wantAll(t, v, objs)
				r := heal(t, v)
				if r.Left > 0 || len(r.Errs) > 0 || int(r.Rebuilt) != len(gone)*len(objs) {
					t.Errorf("heal of shards %v: %+v", gone, r)
				}
				wantWhole(t, v)
				v = s.open(t)
				wantWhole(t, v)
				// The rebuilt shards carry the data alone as far as m allows.
				others := s.without(pick(c.k+c.m, c.m, gone)...)
				wantAll(t, others.open(t), objs)
				if t.Failed() {
					t.Fatalf("shards %v replaced", gone)
				}
			}
		})
	}
}

// pick is n of all positions, those in avoid last.
func pick(all, n int, avoid []int) []int {
	var set, rest []int
	for i := range all {
		if strings.Contains(fmt.Sprint(avoid), fmt.Sprint(i)) {
			rest = append(rest, i)
		} else {
			set = append(set, i)
		}
	}
	return append(set, rest...)[:n]
}

// TestHealOrder heals the objects with the fewest shards first.
func TestHealOrder(t *testing.T) {
	s := newSet(t, 4, 2)
	v := s.open(t)
	for _, name := range []string{"seg/a", "seg/b", "seg/c", "seg/d"} {
		put(t, v, name, pattern(50_000, 1))
	}
	for _, i := range []int{0, 1} {
		if err := s.shards[i].Remove(t.Context(), "seg/c"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.shards[5].Remove(t.Context(), "seg/a"); err != nil {
		t.Fatal(err)
	}
	var order []string
	s.shards[0].OnChange(func(op blockiotest.Op) {
		if op.Kind == blockiotest.OpRename {
			order = append(order, op.Name)
		}
	})
	s.shards[5].OnChange(func(op blockiotest.Op) {
		if op.Kind == blockiotest.OpRename {
			order = append(order, op.Name)
		}
	})
	r := heal(t, v)
	if r.Rebuilt != 3 || r.Left != 0 {
		t.Errorf("heal: %+v", r)
	}
	if diff := cmp.Diff([]string{"seg/c", "seg/a"}, order); diff != "" {
		t.Error(diff)
	}
	wantWhole(t, v)
}

// TestReadsQueueHealing meets damage in reads, and Heal repairs just that.
func TestReadsQueueHealing(t *testing.T) {
	s := newSet(t, 4, 2)
	v := s.open(t)
	p := pattern(100_000, 1)
	for _, name := range []string{"seg/a", "seg/b", "seg/c"} {
		put(t, v, name, p)
	}
	flip(t, s.shards[1], "seg/b", 77)
	if err := s.shards[2].Remove(t.Context(), "seg/c"); err != nil {
		t.Fatal(err)
	}
	wantChecked(t, v, "seg/a", p)
	wantChecked(t, v, "seg/b", p)
	want(t, v, "seg/c", p)
	if n := v.Stats().Queued; n != 2 {
		t.Errorf("%d objects are queued, want 2", n)
	}
	if r := heal(t, v); r.Rebuilt != 2 || r.Left != 0 {
		t.Errorf("heal: %+v", r)
	}
	if n := v.Stats().Queued; n != 0 {
		t.Errorf("%d objects are queued after healing", n)
	}
	wantWhole(t, v)
}

// TestHealMeetsDamage rebuilds a shard from others of which one has a wrong unit:
// the same healing repairs that too.
func TestHealMeetsDamage(t *testing.T) {
	s := newSet(t, 4, 2)
	v := s.open(t)
	p := pattern(3*4*unit, 9)
	put(t, v, "seg/a", p)
	if err := s.shards[1].Remove(t.Context(), "seg/a"); err != nil {
		t.Fatal(err)
	}
	flip(t, s.shards[0], "seg/a", unit+1)
	v = s.open(t)
	if r := heal(t, v); r.Rebuilt != 2 || r.Left != 0 {
		t.Errorf("heal: %+v", r)
	}
	wantWhole(t, v)
	want(t, v, "seg/a", p)
}

// TestRepairKeepsGoodUnits damages different shards in different rows, so that no
// shard can be spared as a whole: the repair uses the good units of all.
func TestRepairKeepsGoodUnits(t *testing.T) {
	s := newSet(t, 4, 2)
	p := pattern(3*4*unit, 9)
	put(t, s.open(t), "seg/a", p)
	for row := range int64(3) {
		flip(t, s.shards[2*row], "seg/a", row*unit+1)
		flip(t, s.shards[2*row+1], "seg/a", row*unit+1)
	}
	v := s.open(t)
	if r := scrub(t, v, stripe.ScrubOptions{Repair: true}); r.Found != 6 || r.Repaired != 6 {
		t.Errorf("scrub: %+v", r)
	}
	wantWhole(t, v)
	want(t, v, "seg/a", p)
}

// TestLeftoverWhileRebuilding has what a crash left of a write on a shard that
// lacks objects: it could never have been acknowledged, so it goes, and the shard
// is complete.
func TestLeftoverWhileRebuilding(t *testing.T) {
	s := newSet(t, 2, 1)
	v := s.open(t)
	put(t, v, "seg/a", pattern(3*unit, 1))
	closeVolume(t, v)
	s.shards[0] = blockiotest.NewMemVolume()
	v = s.open(t)
	put(t, v, "seg/b", pattern(3*unit, 2)) // the empty shard joins with it
	p, err := blockio.ReadObject(t.Context(), s.shards[0], "seg/b", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := blockio.WriteObject(t.Context(), s.shards[0], "seg/left", p); err != nil {
		t.Fatal(err)
	}
	if r := heal(t, v); r.Left != 0 || len(r.Errs) != 0 || r.Removed != 1 {
		t.Errorf("heal: %+v", r)
	}
	wantWhole(t, v)
}
