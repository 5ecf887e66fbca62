package blockio

import (
	"context"
	"sync"
	"time"
)

// Limiter paces work to so many bytes a second; nil does not. It only ever
// delays: nothing depends on its clock. It is safe for concurrent use.
type Limiter struct {
	rate int64

	mu   sync.Mutex
	free time.Time // when all bytes asked for so far are paid for; guarded by mu
}

// NewLimiter makes a limiter; it is nil when the rate is zero or less.
func NewLimiter(rate int64) *Limiter {
	if rate <= 0 {
		return nil
	}
	return &Limiter{rate: rate}
}

// Wait returns when n bytes, after all asked for before, are paid for.
func (l *Limiter) Wait(ctx context.Context, n int) error {
	if l == nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return nil
	}
	timer := time.NewTimer(l.pay(n))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// pay books n bytes and says how long they take from now.
func (l *Limiter) pay(n int) time.Duration {
	cost := time.Duration(float64(n) / float64(l.rate) * float64(time.Second))
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(cost)
	return l.free.Sub(now)
}
