package provision

import (
	"context"
	"sync"
	"time"
)

// throttle lets bytes through at a rate. A nil throttle lets all through.
type throttle struct {
	rate int64 // bytes a second

	mu   sync.Mutex
	free time.Time // when the next bytes may go; guarded by mu
}

func newThrottle(rate int64) *throttle {
	if rate <= 0 {
		return nil
	}
	return &throttle{rate: rate}
}

// wait returns when n bytes may go.
func (t *throttle) wait(ctx context.Context, n int) error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	now := time.Now()
	if t.free.Before(now) {
		t.free = now
	}
	delay := t.free.Sub(now)
	t.free = t.free.Add(time.Duration(float64(n) / float64(t.rate) * float64(time.Second)))
	t.mu.Unlock()
	if delay <= 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
