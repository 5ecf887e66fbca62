package ready

import (
	"context"
	"sync"
	"time"
)

// patience is how long a refill gives way to foreground work at most, so that
// work without end does not starve the pools.
const patience = 5 * time.Second

// gate tells whether foreground work goes on.
type gate struct {
	mu   sync.Mutex
	busy int
	idle chan struct{} // closed while busy is 0
}

func newGate() *gate {
	g := &gate{idle: make(chan struct{})}
	close(g.idle)
	return g
}

func (g *gate) enter() (leave func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy == 0 {
		g.idle = make(chan struct{})
	}
	g.busy++
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.busy--; g.busy == 0 {
			close(g.idle)
		}
	})
}

// wait returns when no foreground work goes on, when patience is over, or when
// hurry is closed.
func (g *gate) wait(ctx context.Context, hurry <-chan struct{}) error {
	g.mu.Lock()
	idle := g.idle
	g.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-idle:
	case <-hurry:
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}
