package stripe_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/blockiotest/leak"
	"github.com/blockmill/blockmill/blockio/stripe"
)

func TestMain(m *testing.M) { leak.Main(m) }

// TestHealRacesRemoval removes an object while its shard is being rebuilt: the
// rebuilt shard does not come after the removal.
func TestHealRacesRemoval(t *testing.T) {
	for _, c := range []struct{ k, m int }{{4, 2}, {1, 1}} {
		s := newSet(t, c.k, c.m)
		v := s.open(t)
		put(t, v, "seg/a", pattern(50_000, 1))
		if err := s.shards[0].Remove(t.Context(), "seg/a"); err != nil {
			t.Fatal(err)
		}
		var once sync.Once
		s.shards[0].OnChange(func(op blockiotest.Op) {
			if op.Kind == blockiotest.OpWrite {
				once.Do(func() {
					if err := v.Remove(t.Context(), "seg/a"); err != nil {
						t.Error(err)
					}
				})
			}
		})
		heal(t, v)
		wantNone(t, v, "seg/a")
		for i, sh := range s.shards {
			if _, err := sh.Open(t.Context(), "seg/a"); !errors.Is(err, blockio.ErrNotFound) {
				t.Errorf("%d+%d: shard %d has the object: %v", c.k, c.m, i, err)
			}
		}
		wantWhole(t, v)
	}
}

// TestEverythingAtOnce writes, reads, removes, heals and scrubs at the same time,
// while a shard fails now and then.
func TestEverythingAtOnce(t *testing.T) {
	s := newSet(t, 4, 2)
	v := s.open(t)
	stop := make(chan struct{})
	var work, care sync.WaitGroup
	for w := range 4 {
		work.Go(func() {
			for i := range 30 {
				name := fmt.Sprintf("seg/%d-%d", w, i)
				p := pattern(1000*i*(w+1), uint64(i))
				if err := blockio.WriteObject(t.Context(), v, name, p); err != nil {
					t.Error(err)
					continue
				}
				want(t, v, name, p)
				wantChecked(t, v, name, p)
				if i%3 == 0 {
					if err := v.Remove(t.Context(), name); err != nil {
						t.Error(err)
					}
					wantGone(t, v, name)
				}
			}
		})
	}
	care.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			s.shards[5].Inject(blockiotest.Fault{N: 20})
			heal(t, v)
			scrub(t, v, stripe.ScrubOptions{Repair: i%2 == 0})
			if _, err := v.State(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	work.Wait()
	close(stop)
	care.Wait()
	s.shards[5].ClearFaults()
	s.shards[5] = s.shards[5].Reopen() // a failed sync of a directory has poisoned it
	v = s.open(t)
	heal(t, v)
	scrub(t, v, stripe.ScrubOptions{Repair: true})
	heal(t, v)
	wantWhole(t, v)
	for w := range 4 {
		for i := range 30 {
			if name := fmt.Sprintf("seg/%d-%d", w, i); i%3 == 0 {
				wantNone(t, v, name)
			} else {
				want(t, v, name, pattern(1000*i*(w+1), uint64(i)))
			}
		}
	}
}

func wantGone(t testing.TB, v *stripe.Volume, name string) {
	t.Helper()
	if _, err := v.Open(t.Context(), name); !errors.Is(err, blockio.ErrNotFound) {
		t.Errorf("open %s: %v, want ErrNotFound", name, err)
	}
}

// TestNoMemoryToSpare has callers hold all of the arena: writes, and reads that
// rebuild, go on with what is reserved.
func TestNoMemoryToSpare(t *testing.T) {
	s := newSet(t, 4, 2)
	arena := blockio.NewArena(4 * 6 * unit)
	v, err := stripe.Open(t.Context(), s.volumes(), stripe.Options{Arena: arena})
	if err != nil {
		t.Fatal(err)
	}
	for b := arena.TryGet(4096); b != nil; b = arena.TryGet(4096) {
		defer b.Release()
	}
	p := pattern(5*4*unit+100, 1)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() { put(t, v, fmt.Sprintf("seg/%d", i), p) })
	}
	wg.Wait()
	for i := range 2 {
		if err := s.shards[i].Remove(t.Context(), "seg/3"); err != nil {
			t.Fatal(err)
		}
	}
	for range 8 {
		wg.Go(func() {
			want(t, v, "seg/3", p)
			wantChecked(t, v, "seg/3", p)
		})
	}
	wg.Wait()
	if _, err := stripe.Open(t.Context(), s.volumes(), stripe.Options{Arena: blockio.NewArena(2 * 6 * unit)}); err == nil {
		t.Error("an arena with no room for two rows: no error")
	}
}

// TestScrubRate scrubs at a rate: the bytes take as long as they should.
func TestScrubRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSet(t, 4, 2)
		v := s.open(t)
		put(t, v, "seg/a", pattern(64*unit, 1)) // 96 units on 6 shards
		start := time.Now()
		scrub(t, v, stripe.ScrubOptions{Rate: 8 * unit})
		if took := time.Since(start); took < 11*time.Second || took > 13*time.Second {
			t.Errorf("96 units at 8 a second took %v", took)
		}
	})
}

// TestHealRate rebuilds a shard within a budget: what is read and what is written
// both count.
func TestHealRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSet(t, 4, 2)
		v := s.open(t)
		put(t, v, "seg/a", pattern(64*unit, 1)) // 16 units on each shard
		if err := s.shards[1].Remove(t.Context(), "seg/a"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		r, err := v.Heal(t.Context(), stripe.HealOptions{Rate: 8 * unit})
		if err != nil || r.Rebuilt != 1 {
			t.Errorf("heal: %+v, error %v", r, err)
		}
		if took := time.Since(start); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("64 units read and 16 written at 8 a second took %v", took)
		}
	})
}
