package blockio_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blockmill/blockmill/blockio"
)

func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := blockio.NewLimiter(1 << 20)
		start := time.Now()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 8 {
					if err := l.Wait(t.Context(), 256<<10); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != 8*time.Second {
			t.Errorf("8 MiB at 1 MiB a second took %v", took)
		}
		// What was not used is not saved up.
		time.Sleep(time.Hour)
		start = time.Now()
		if err := l.Wait(t.Context(), 2<<20); err != nil || time.Since(start) != 2*time.Second {
			t.Errorf("2 MiB after an hour took %v, error %v", time.Since(start), err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("enough")
		time.AfterFunc(time.Second, func() { cancel(why) })
		if err := l.Wait(ctx, 1<<30); !errors.Is(err, why) {
			t.Errorf("a cancelled wait gives %v", err)
		}
	})
}

func TestNoLimiter(t *testing.T) {
	l := blockio.NewLimiter(0)
	if err := l.Wait(t.Context(), 1<<40); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Wait(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context gives %v", err)
	}
}
