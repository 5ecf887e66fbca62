package main

import (
	"context"
	"log/slog"
	"time"
)

// refreshed are metrics that are counted from time to time, not at each scrape:
// it takes a look at everything that is stored.
type refreshed interface {
	Refresh(ctx context.Context) error
}

// refresh counts at once and then as often as every says, until the context ends.
func refresh(ctx context.Context, every time.Duration, all []refreshed, log *slog.Logger) {
	if every <= 0 {
		return
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		for _, m := range all {
			if err := m.Refresh(ctx); err != nil && ctx.Err() == nil {
				log.Warn("some metrics are old", "reason", err)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
