package ready

import (
	"context"
	"sync"
	"time"
)

const (
	// patience is how long a refill gives way to foreground work at most, so
	// that work without end does not starve the pools.
	patience = 5 * time.Second
	// pause is how long no foreground work must have gone on: creates come in
	// bursts, and a refill between two of them slows the second down.
	pause = 100 * time.Millisecond
)

// gate tells whether foreground work goes on.
type gate struct {
	mu   sync.Mutex
	busy int           // guarded by mu
	idle chan struct{} // closed while busy is 0; guarded by mu
	left time.Time     // when it was 0 last; guarded by mu
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
			g.left = time.Now()
			close(g.idle)
		}
	})
}

// wait returns when no foreground work has gone on for a while, when patience is
// over, or when hurry is closed.
func (g *gate) wait(ctx context.Context, hurry <-chan struct{}) error {
	over := time.NewTimer(patience)
	defer over.Stop()
	for {
		idle, rest := g.look()
		if idle == nil && rest <= 0 {
			return nil
		}
		var calm <-chan time.Time
		if idle == nil {
			timer := time.NewTimer(rest)
			defer timer.Stop()
			calm = timer.C
		}
		select {
		case <-idle:
		case <-calm:
		case <-hurry:
			return nil
		case <-over.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// look gives a channel that is closed when foreground work ends, nil when none
// goes on; then, how long that must last yet.
func (g *gate) look() (idle <-chan struct{}, rest time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy > 0 {
		return g.idle, 0
	}
	return nil, time.Until(g.left.Add(pause))
}
