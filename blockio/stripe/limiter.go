package stripe

import (
	"context"
	"sync"
	"time"
)

// limiter paces work to so many bytes a second; nil does not. It only ever
// delays: nothing depends on its clock.
type limiter struct {
	rate int64

	mu   sync.Mutex
	free time.Time // when all bytes asked for so far are paid for
}

func newLimiter(rate int64) *limiter {
	if rate <= 0 {
		return nil
	}
	return &limiter{rate: rate}
}

// wait returns when n bytes, after all asked for before, are paid for.
func (l *limiter) wait(ctx context.Context, n int) error {
	if l == nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return nil
	}
	cost := time.Duration(float64(n) / float64(l.rate) * float64(time.Second))
	l.mu.Lock()
	now := time.Now()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(cost)
	delay := l.free.Sub(now)
	l.mu.Unlock()
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
