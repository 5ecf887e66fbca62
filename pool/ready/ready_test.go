package ready_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/blockmill/blockmill/pool/provision"
	"github.com/blockmill/blockmill/pool/ready"
)

// factory makes disks that are nothing but a number.
type factory struct {
	takes time.Duration

	mu        sync.Mutex
	made      int
	discarded int
	working   int // at a time
	most      int // of working, ever
	fail      error
}

func (f *factory) Make(ctx context.Context, key ready.Key, _ bool) (provision.Backing, error) {
	f.mu.Lock()
	f.working++
	f.most = max(f.most, f.working)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.working--
		f.mu.Unlock()
	}()
	select {
	case <-time.After(f.takes):
	case <-ctx.Done():
		return provision.Backing{}, context.Cause(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return provision.Backing{}, f.fail
	}
	f.made++
	return provision.Backing{ID: provision.BackingID(fmt.Sprintf("%s-%d", key, f.made)), Held: 100}, nil
}

func (f *factory) Discard(context.Context, ready.Key, provision.Backing) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.discarded++
	return nil
}

func (f *factory) failWith(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

func stat(t *testing.T, s *ready.Stock, key ready.Key) ready.Stat {
	t.Helper()
	synctest.Wait()
	st, err := s.Stat(key)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// take takes a disk and keeps it.
func take(t *testing.T, s *ready.Stock, want error) provision.Backing {
	t.Helper()
	d, err := s.Take(t.Context(), "img", ready.Want{})
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Fatalf("take: %v, want %v", err, want)
	}
	if err != nil {
		return provision.Backing{}
	}
	d.Keep()
	return d.Backing
}

// A pool fills at once, each take is refilled at once, and the target follows
// the demand.
func TestRefill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &factory{takes: 2 * time.Second}
		s := ready.New(ready.Options{Maker: f})
		defer s.Stop()
		s.Open("img", ready.Settings{}, nil)
		take(t, s, ready.ErrNone)
		time.Sleep(5 * time.Second)
		if st := stat(t, s, "img"); st.Ready != 2 || st.Target != 2 {
			t.Errorf("after one create: %d ready of %d, want 2 of 2", st.Ready, st.Target)
		}
		// Batches of ten: the first runs out, the others do not.
		for batch := range 4 {
			hits := 0
			for range 10 {
				if _, err := s.Take(t.Context(), "img", ready.Want{}); err == nil {
					hits++
				}
			}
			if batch > 0 && hits < 10 {
				t.Errorf("batch %d: %d hits", batch, hits)
			}
			time.Sleep(5 * time.Minute)
		}
		if st := stat(t, s, "img"); st.Target != 11 || st.Ready != 11 {
			t.Errorf("after batches of ten: %d ready of %d, want 11", st.Ready, st.Target)
		}
		if f.most != 1 {
			t.Errorf("%d refills at a time, want 1", f.most)
		}
		// The demand ends.
		time.Sleep(2 * time.Hour)
		if st := stat(t, s, "img"); st.Ready != 0 || f.discarded != 11 {
			t.Errorf("idle: %d ready, %d discarded", st.Ready, f.discarded)
		}
	})
}

// Creates that wait are served in their order, before the stock, and told when
// there will be no disk.
func TestWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &factory{takes: time.Second}
		s := ready.New(ready.Options{Maker: f})
		defer s.Stop()
		s.Open("img", ready.Settings{Max: -1}, nil)
		var mu sync.Mutex
		var order []int
		for i := range 5 {
			go func() {
				_, err := s.Take(t.Context(), "img", ready.Want{Wait: true})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("create %d: %v", i, err)
				}
				order = append(order, i)
			}()
			synctest.Wait()
		}
		if st := stat(t, s, "img"); st.Waiting != 5 {
			t.Errorf("%d wait, want 5", st.Waiting)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if fmt.Sprint(order) != "[0 1 2 3 4]" {
			t.Errorf("served in order %v", order)
		}
		// One that gives up leaves the line; what it would have got is kept.
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if _, err := s.Take(ctx, "img", ready.Want{Wait: true}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("gave up: %v", err)
		}
		time.Sleep(time.Second)
		// A refill that fails is told to who waits, and tried again.
		broken := errors.New("broken")
		f.failWith(broken)
		take2 := func() error { _, err := s.Take(t.Context(), "img", ready.Want{Wait: true}); return err }
		for {
			if err := take2(); err != nil {
				if !errors.Is(err, broken) {
					t.Errorf("failed refill: %v", err)
				}
				break
			}
		}
		f.failWith(nil)
		if err := take2(); err != nil {
			t.Errorf("after a failure: %v", err)
		}
		// The end of a pool is told to who waits.
		f.mu.Lock()
		f.takes = time.Hour
		f.mu.Unlock()
		done := make(chan error, 1)
		go func() { done <- take2() }()
		synctest.Wait()
		if err := s.Close("img"); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, ready.ErrStopped) {
			t.Errorf("closed: %v, want %v", err, ready.ErrStopped)
		}
	})
}

// Refills give way to foreground work, unless a create waits or patience ends.
func TestForeground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &factory{takes: time.Millisecond}
		s := ready.New(ready.Options{Maker: f})
		defer s.Stop()
		end := s.Foreground()
		s.Open("img", ready.Settings{}, nil)
		time.Sleep(time.Second)
		if st := stat(t, s, "img"); st.Ready != 0 || st.Making != 1 {
			t.Errorf("beside foreground work: %d ready, %d being made", st.Ready, st.Making)
		}
		if _, err := s.Take(t.Context(), "img", ready.Want{Wait: true}); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Second)
		if st := stat(t, s, "img"); st.Ready == 0 {
			t.Error("foreground work without end starves the pool")
		}
		end()
	})
}

// What a pool has too many of goes behind foreground work, too, unless that has no
// end. A stock that stops does not wait with it.
func TestSurplus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &factory{takes: time.Millisecond}
		s := ready.New(ready.Options{Maker: f})
		defer s.Stop()
		gone := func(want int) {
			t.Helper()
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.discarded != want {
				t.Errorf("%d discarded, want %d", f.discarded, want)
			}
		}
		s.Open("img", ready.Settings{Capacity: 6}, nil)
		time.Sleep(time.Second)
		end := s.Foreground()
		s.Open("img", ready.Settings{Capacity: 3}, nil)
		time.Sleep(time.Second)
		gone(0)
		time.Sleep(5 * time.Second)
		gone(1)
		end()
		time.Sleep(time.Second)
		gone(3)
		defer s.Foreground()()
		s.Open("img", ready.Settings{Capacity: 1}, nil)
		gone(3)
		s.Stop()
		gone(5)
	})
}

// A create counts by what became of the disk that it was given, once that is known.
func TestTaken(t *testing.T) {
	for what, tt := range map[string]struct {
		end  func(t *testing.T, d *ready.Taken)
		wait bool
		want ready.Counts
	}{
		"kept":                    {end: func(_ *testing.T, d *ready.Taken) { d.Keep() }, want: ready.Counts{Hits: 1}},
		"kept after a wait":       {end: func(_ *testing.T, d *ready.Taken) { d.Keep() }, wait: true, want: ready.Counts{Waits: 1}},
		"given back":              {end: func(_ *testing.T, d *ready.Taken) { d.Return() }},
		"given back after a wait": {end: func(_ *testing.T, d *ready.Taken) { d.Return() }, wait: true},
		"of no use": {end: func(t *testing.T, d *ready.Taken) {
			if err := d.Discard(t.Context()); err != nil {
				t.Error(err)
			}
		}, want: ready.Counts{Misses: 1, Discards: 1}},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &factory{takes: time.Second}
				s := ready.New(ready.Options{Maker: f})
				defer s.Stop()
				s.Open("img", ready.Settings{Capacity: 1}, nil)
				if !tt.wait {
					time.Sleep(time.Minute)
				}
				d, err := s.Take(t.Context(), "img", ready.Want{Wait: tt.wait})
				if err != nil {
					t.Fatal(err)
				}
				before := stat(t, s, "img").Counts
				if before.Hits+before.Misses+before.Waits > 0 {
					t.Errorf("nobody knows yet, and it counts as %+v", before)
				}
				time.Sleep(time.Minute) // another is made in its place
				tt.end(t, d)
				if st := stat(t, s, "img"); st.Ready != 1 {
					t.Errorf("%d disks are ready, want no more than there is room for", st.Ready)
				}
				got := stat(t, s, "img").Counts
				got.Refills = 0
				if tt.want.Discards == 0 {
					got.Discards = 0 // of what was made in its place
				}
				if got != tt.want {
					t.Errorf("counts %+v, want %+v", got, tt.want)
				}
			})
		})
	}
}

// A create gets no disk that does not suit it, not even when it has waited.
func TestSuits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &factory{takes: time.Second}
		s := ready.New(ready.Options{Maker: f})
		defer s.Stop()
		s.Open("img", ready.Settings{Capacity: 3}, nil)
		nothing := func(provision.Backing) bool { return false }
		if _, err := s.Take(t.Context(), "img", ready.Want{Suits: nothing, Wait: true}); !errors.Is(err, ready.ErrNone) {
			t.Errorf("what was made does not suit: %v, want %v", err, ready.ErrNone)
		}
		time.Sleep(time.Minute)
		second := func(b provision.Backing) bool { return b.ID == "img-2" }
		if d, err := s.Take(t.Context(), "img", ready.Want{Suits: second}); err != nil || d.ID != "img-2" {
			t.Errorf("the second was taken as %+v: %v", d, err)
		}
		if d, err := s.Take(t.Context(), "img", ready.Want{}); err != nil || d.ID != "img-1" {
			t.Errorf("the oldest was taken as %+v: %v", d, err)
		}
		if st := stat(t, s, "img"); st.Misses != 1 || st.Waits != 0 || st.Discards != 0 {
			t.Errorf("counts %+v", st.Counts)
		}
	})
}

// What happens is counted: creates by what they met, refills and their times, and how
// the pools are.
func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		f := &factory{takes: 2 * time.Second}
		s := ready.New(ready.Options{Maker: f, Metrics: ready.NewMetrics(reg)})
		defer s.Stop()
		s.Open("img", ready.Settings{Capacity: 2}, nil)
		take(t, s, ready.ErrNone) // a miss
		d, err := s.Take(t.Context(), "img", ready.Want{Wait: true})
		if err != nil {
			t.Fatal(err)
		}
		d.Keep()
		time.Sleep(time.Minute)
		take(t, s, nil)
		want := `
# HELP blockmill_pool_creates_total Creates of disks from pooled images: hit, miss (made its own), or wait (waited for a refill).
# TYPE blockmill_pool_creates_total counter
blockmill_pool_creates_total{result="hit"} 1
blockmill_pool_creates_total{result="miss"} 1
blockmill_pool_creates_total{result="wait"} 1
# HELP blockmill_pool_ready_bytes Bytes that ready disks hold.
# TYPE blockmill_pool_ready_bytes gauge
blockmill_pool_ready_bytes 100
# HELP blockmill_pool_ready_disks Disks that are ready.
# TYPE blockmill_pool_ready_disks gauge
blockmill_pool_ready_disks 1
# HELP blockmill_pool_target_disks Disks that should be ready.
# TYPE blockmill_pool_target_disks gauge
blockmill_pool_target_disks 2
`
		err = testutil.GatherAndCompare(reg, strings.NewReader(want), "blockmill_pool_creates_total",
			"blockmill_pool_ready_bytes", "blockmill_pool_ready_disks", "blockmill_pool_target_disks")
		if err != nil {
			t.Error(err)
		}
		for _, name := range []string{"blockmill_pool_refill_seconds", "blockmill_pool_wait_seconds"} {
			if n, err := testutil.GatherAndCount(reg, name); n != 1 || err != nil {
				t.Errorf("%s: %d series, %v", name, n, err)
			}
		}
	})
}

// Bounds per image and for the node hold.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &factory{takes: time.Millisecond}
		s := ready.New(ready.Options{Maker: f, ByteBudget: 1000, Workers: 3})
		defer s.Stop()
		s.Open("img", ready.Settings{Capacity: 6}, nil)
		s.Open("other", ready.Settings{Min: 2, Max: 3}, nil)
		time.Sleep(time.Second)
		if a, b := stat(t, s, "img"), stat(t, s, "other"); a.Ready != 6 || b.Ready != 2 {
			t.Errorf("%d and %d ready, want 6 and 2", a.Ready, b.Ready)
		}
		s.Open("img", ready.Settings{Capacity: 20}, nil)
		time.Sleep(time.Second)
		if a, b := stat(t, s, "img"), stat(t, s, "other"); a.Bytes+b.Bytes != 1000 {
			t.Errorf("%d bytes, want the budget of 1000", a.Bytes+b.Bytes)
		}
		s.Open("img", ready.Settings{Capacity: 1}, nil)
		time.Sleep(time.Second)
		if a := stat(t, s, "img"); a.Ready != 1 {
			t.Errorf("%d ready, want 1", a.Ready)
		}
	})
}

// A demand that refilling cannot meet is said.
func TestBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		f := &factory{takes: 10 * time.Second}
		s := ready.New(ready.Options{Maker: f, Metrics: ready.NewMetrics(reg)})
		defer s.Stop()
		s.Open("img", ready.Settings{}, nil)
		for range 60 {
			_, _ = s.Take(t.Context(), "img", ready.Want{})
			time.Sleep(5 * time.Second)
		}
		kinds := map[ready.EventKind]int{}
		events, _ := s.Events(0)
		for _, e := range events {
			kinds[e.Kind]++
		}
		st := stat(t, s, "img")
		if st.Load < 1.5 || kinds[ready.Behind] != 1 {
			t.Errorf("load %.2f, events %v; want 2 and one that says so", st.Load, kinds)
		}
		if n := testutil.CollectAndCount(reg, "blockmill_pool_refill_load"); n != 1 {
			t.Errorf("%d series of load, want 1", n)
		}
		time.Sleep(30 * time.Minute)
		if _, err := s.Take(t.Context(), "img", ready.Want{}); err != nil {
			t.Error(err)
		}
		events, _ = s.Events(0)
		if last := events[len(events)-1].Kind; last != ready.Hit && last != ready.CaughtUp {
			t.Errorf("last event %s", last)
		}
	})
}

// A disk is given out once, whatever goes on side by side.
func TestConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &factory{takes: time.Millisecond}
		s := ready.New(ready.Options{Maker: f, Workers: 4, Rule: ready.Rule{Parallel: 4}})
		var mu sync.Mutex
		got := map[provision.BackingID]bool{}
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := range 50 {
					key := ready.Key([]string{"a", "b"}[i%2])
					switch {
					case w == 0 && i%10 == 0:
						if err := s.Close(key); err != nil {
							t.Error(err)
						}
						continue
					case w == 1:
						s.Open(key, ready.Settings{}, nil)
						continue
					}
					b, err := s.Take(t.Context(), key, ready.Want{Wait: i%3 == 0})
					if err != nil {
						continue
					}
					if i%7 == 0 {
						b.Return()
						continue
					}
					mu.Lock()
					if got[b.ID] {
						t.Errorf("%s was given out twice", b.ID)
					}
					got[b.ID] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		left := 0
		for _, st := range s.Stats() {
			left += st.Ready
		}
		s.Stop()
		if f.made != len(got)+left+f.discarded {
			t.Errorf("%d made; %d given out, %d ready, %d discarded", f.made, len(got), left, f.discarded)
		}
	})
}

// A refill that finds its pool about to be closed has not failed, and who waits for
// it is told.
func TestGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &factory{fail: fmt.Errorf("deleted: %w", ready.ErrNoPool)}
		s := ready.New(ready.Options{Maker: f})
		defer s.Stop()
		s.Open("img", ready.Settings{}, nil)
		if _, err := s.Take(t.Context(), "img", ready.Want{Wait: true}); !errors.Is(err, ready.ErrNoPool) {
			t.Errorf("waited: %v, want %v", err, ready.ErrNoPool)
		}
		if st := stat(t, s, "img"); st.Failures > 0 || st.Waiting != 0 {
			t.Errorf("%d failures, %d wait", st.Failures, st.Waiting)
		}
		if err := s.Close("img"); err != nil {
			t.Error(err)
		}
	})
}

// Creates that wait are told when their disks cannot be made: none waits for what
// is tried again later, however many there are.
func TestWaitersAreTold(t *testing.T) {
	for _, fail := range []error{errors.New("disk is full"), ready.ErrNoPool} {
		synctest.Test(t, func(t *testing.T) {
			f := &factory{takes: time.Second}
			f.failWith(fail)
			s := ready.New(ready.Options{Maker: f})
			defer s.Stop()
			s.Open("img", ready.Settings{}, nil)
			time.Sleep(time.Hour) // a pool that has failed for long is tried seldom
			began := time.Now()
			var all sync.WaitGroup
			for range 30 {
				all.Go(func() {
					if _, err := s.Take(t.Context(), "img", ready.Want{Wait: true}); !errors.Is(err, fail) {
						t.Errorf("take: %v, want %v", err, fail)
					}
				})
			}
			all.Wait()
			if took := time.Since(began); took > time.Minute {
				t.Errorf("30 creates waited %v for disks that cannot be made in a second each", took)
			}
		})
	}
}

// A maker that says that it was cancelled, when nobody did, is tried again later.
func TestCancelledByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &factory{takes: time.Millisecond}
		f.failWith(context.Canceled)
		s := ready.New(ready.Options{Maker: f})
		defer s.Stop()
		s.Open("img", ready.Settings{}, nil)
		time.Sleep(time.Minute)
		if st := stat(t, s, "img"); st.Failures == 0 || st.Failures > 10 {
			t.Errorf("%d failures in a minute, want a few", st.Failures)
		}
	})
}
