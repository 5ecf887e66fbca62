package stripe_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// snapshot is a set as a crash may leave it, and what was told by then.
type snapshot struct {
	op    blockiotest.Op
	shard int
	fates string
	set   *set
	told  *history
}

// crasher takes snapshots before every change of any shard.
type crasher struct {
	set *set

	mu   sync.Mutex
	rng  *rand.Rand
	told *history // guarded by mu; replaced after each step
	seen int
	all  []snapshot
}

func (c *crasher) watch() {
	for i, sh := range c.set.shards {
		if sh != nil {
			sh.OnChange(func(op blockiotest.Op) { c.snap(i, op) })
		}
	}
}

// snap clones the set as crashed now: everything unsynced lost, kept, and a fate
// of its own for each shard.
func (c *crasher) snap(shard int, op blockiotest.Op) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fates := []blockiotest.Fate{blockiotest.Lost, blockiotest.Kept, blockiotest.Torn}
	for round := range 4 {
		if c.seen++; c.seen%every(5) != 0 {
			continue
		}
		s := &set{k: c.set.k, m: c.set.m, shards: make([]*blockiotest.MemVolume, len(c.set.shards))}
		var as []blockiotest.Crash
		for i, sh := range c.set.shards {
			crash := blockiotest.Crash{Data: fates[round%3], Names: fates[round%3], Seed: c.rng.Uint64()}
			if round == 3 {
				crash.Data, crash.Names = fates[c.rng.IntN(3)], fates[c.rng.IntN(3)]
			}
			as = append(as, crash)
			if sh != nil {
				s.shards[i] = sh.CrashClone(crash)
			}
		}
		c.all = append(c.all, snapshot{op: op, shard: shard, fates: fmt.Sprint(as), set: s, told: c.told.clone()})
	}
}

// during does one thing. Snapshots on the way know what is under way, those after
// it what came of it.
func (c *crasher) during(h *history, f func() error) error {
	c.mu.Lock()
	c.told = h
	c.mu.Unlock()
	err := f()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = nil
	return err
}

// TestCrashAnywhere crashes before every change that any shard's volume makes,
// so also between the commits and the removals of the shards of one object: each
// object is whole or absent, and stays what it was found to be.
func TestCrashAnywhere(t *testing.T) {
	for _, c := range []struct{ k, m, without int }{{2, 1, -1}, {1, 1, -1}, {1, 2, -1}, {4, 2, -1}, {4, 2, 5}, {4, 2, 0}} {
		t.Run(fmt.Sprintf("%d+%d without %d", c.k, c.m, c.without), func(t *testing.T) {
			t.Parallel()
			s, h := beforeFaults(t, c.k, c.m)
			if c.without >= 0 {
				s = s.without(c.without)
			}
			cr := &crasher{set: s, rng: rand.New(rand.NewPCG(uint64(c.k), uint64(c.m))), told: h.clone()}
			v := s.open(t)
			cr.watch()
			for _, step := range []struct {
				name string
				do   func(h *history) error
			}{
				{"seg/new", func(h *history) error { return h.put(t, v, "seg/new", pattern(s.k*unit+5000, 8)) }},
				{"seg/old", func(h *history) error { return h.remove(t, v, "seg/old") }},
				{"seg/old", func(h *history) error { return h.put(t, v, "seg/old", pattern(9000, 9)) }},
				{"rec/keep", func(h *history) error { return h.remove(t, v, "rec/keep") }},
				{"", func(*history) error { return v.Close(t.Context()) }},
			} {
				after := h.clone()
				if err := cr.during(h.unsureOf(step.name, pattern(s.k*unit+5000, 8), pattern(9000, 9)), func() error {
					return step.do(after)
				}); err != nil {
					t.Fatal(err)
				}
				h = after
			}
			for _, snap := range cr.all {
				checkCrashed(t, snap)
				if t.Failed() {
					t.Fatalf("crash before shard %d: %v; shards are %s", snap.shard, snap.op, snap.fates)
				}
			}
			t.Logf("%d crashes", len(cr.all))
		})
	}
}

// checkCrashed opens what a crash left.
func checkCrashed(t testing.TB, snap snapshot) {
	t.Helper()
	v := snap.set.open(t)
	snap.told.check(t, v)
	settled := newHistory()
	for name := range snap.told.acked {
		settled.acked[name] = snap.told.acked[name]
	}
	for name := range snap.told.removed {
		settled.removed[name] = true
	}
	for name := range snap.told.unsure {
		got, err := readChecked(v.Open(t.Context(), name))
		switch {
		case err == nil:
			settled.acked[name] = got
		case errors.Is(err, blockio.ErrNotFound):
			settled.removed[name] = true
		}
	}
	whole := len(snap.set.present()) == snap.set.k+snap.set.m
	if r := heal(t, v); whole && (len(r.Errs) > 0 || r.Left > 0) {
		t.Errorf("heal: %+v", r)
	}
	settled.check(t, v)
	// Another life: what was decided stays, and changes go on.
	v = snap.set.open(t)
	settled.check(t, v)
	put(t, v, "seg/after", []byte("x"))
	if whole {
		heal(t, v)
		wantWhole(t, v)
	}
}

// TestCrashInRepair crashes before every change of a repair that needs the good
// units of every shard: nothing is lost, and the next repair completes it.
func TestCrashInRepair(t *testing.T) {
	s := newSet(t, 4, 2)
	p := pattern(3*4*unit, 9)
	put(t, s.open(t), "seg/a", p)
	for row := range int64(3) {
		flip(t, s.shards[2*row], "seg/a", row*unit+1)
		flip(t, s.shards[2*row+1], "seg/a", row*unit+1)
	}
	h := newHistory()
	h.acked["seg/a"] = p
	cr := &crasher{set: s, rng: rand.New(rand.NewPCG(1, 2)), told: h}
	v := s.open(t)
	cr.watch()
	if r := scrub(t, v, stripe.ScrubOptions{Repair: true}); r.Repaired != 6 {
		t.Errorf("scrub: %+v", r)
	}
	for _, snap := range cr.all {
		v := snap.set.open(t)
		h.check(t, v)
		scrub(t, v, stripe.ScrubOptions{Repair: true})
		wantWhole(t, v)
		if t.Failed() {
			t.Fatalf("crash before shard %d: %v; shards are %s", snap.shard, snap.op, snap.fates)
		}
	}
}
