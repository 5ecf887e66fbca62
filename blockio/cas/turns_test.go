package cas

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Workers compute two at a time, unless nothing bounds them; while one pauses
// another has its turn.
func TestTurns(t *testing.T) {
	for name, c := range map[string]struct {
		bound int
		most  int64
		took  time.Duration
	}{
		"none": {0, 6, 3 * time.Second},
		"two":  {2, 2, 7 * time.Second}, // 12 seconds of work by two, and a pause at the end
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				turns := newTurns(c.bound)
				var now, most atomic.Int64
				compute := func() {
					n := now.Add(1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					time.Sleep(time.Second)
					now.Add(-1)
				}
				begun := time.Now()
				var workers sync.WaitGroup
				for range 6 {
					workers.Go(func() {
						err := turns.do(t.Context(), func(ctx context.Context) error {
							compute()
							resume := pause(ctx)
							time.Sleep(time.Second)
							resume()
							compute()
							return nil
						})
						if err != nil {
							t.Error(err)
						}
					})
				}
				workers.Wait()
				if most.Load() != c.most {
					t.Errorf("%d computed at a time, want %d", most.Load(), c.most)
				}
				if took := time.Since(begun); took > c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
				if len(turns) != 0 {
					t.Errorf("%d turns are left taken", len(turns))
				}
			})
		})
	}
}

// Who waits for a turn can be told to stop.
func TestTurnsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		turns <- struct{}{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := turns.do(ctx, func(context.Context) error { t.Error("it has a turn"); return nil })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want %v", err, context.DeadlineExceeded)
		}
	})
}
