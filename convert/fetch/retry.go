package fetch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// retry calls attempt until it succeeds, fails for good, or has failed as often
// as it may. Its errors give no secrets away.
func (c *client) retry(ctx context.Context, attempt func() error) error {
	for n := 1; ; n++ {
		err := attempt()
		if err == nil {
			return nil
		}
		if err, over := final(err); over || ctx.Err() != nil {
			return c.hide(err)
		}
		wait, patient := c.delay(n, err)
		if n == c.opts.Attempts || !patient {
			c.opts.Metrics.failed()
			return fmt.Errorf("%w after %d attempts: %w", ErrTemporary, n, c.hide(err))
		}
		c.opts.Metrics.retries.Add(1)
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// delay is how long to wait after the nth attempt: longer each time, by chance so
// that many clients do not come back at once, and no less than the server asks
// for. Not patient: that is too long.
func (c *client) delay(n int, err error) (wait time.Duration, patient bool) {
	most := c.opts.RetryDelay << min(n-1, 20)
	if most <= 0 || most > c.opts.MaxRetryDelay {
		most = c.opts.MaxRetryDelay
	}
	wait = most/2 + rand.N(most/2+1)
	if busy, ok := errors.AsType[*busyError](err); ok {
		wait = max(wait, busy.after)
	}
	return wait, wait <= max(maxRetryAfter, c.opts.MaxRetryDelay)
}

// sleep waits, or returns why the context ended.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
