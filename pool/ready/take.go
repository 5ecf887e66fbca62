package ready

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/blockmill/blockmill/pool/provision"
)

// Take gives a ready disk. Without one it is ErrNone, or, with wait, it waits for
// the refill that it starts.
func (s *Stock) Take(ctx context.Context, key Key, wait bool) (provision.Backing, error) {
	s.mu.Lock()
	p := s.pools[key]
	if p == nil || s.stopped {
		s.mu.Unlock()
		return provision.Backing{}, fmt.Errorf("pool %s: %w", key, ErrNoPool)
	}
	now := time.Now()
	p.demand.Arrive(now)
	s.watchLoad(p, now)
	b, ok := p.next()
	if ok {
		p.counts.Hits++
		s.note(p, Hit, 0, "")
		s.plan()
		s.mu.Unlock()
		return b, nil
	}
	if !wait {
		p.counts.Misses++
		s.note(p, Miss, 0, "")
		s.plan()
		s.mu.Unlock()
		return provision.Backing{}, fmt.Errorf("pool %s: %w", key, ErrNone)
	}
	w := &waiter{since: now, got: make(chan given, 1)}
	p.waiters = append(p.waiters, w)
	close(p.hurry)
	p.hurry = make(chan struct{})
	s.plan()
	s.mu.Unlock()
	return s.await(ctx, p, w)
}

// await returns what a waiter is given.
func (s *Stock) await(ctx context.Context, p *pool, w *waiter) (provision.Backing, error) {
	select {
	case g := <-w.got:
		return g.backing, g.err
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(p.waiters, w); i >= 0 {
		p.waiters = slices.Delete(p.waiters, i, i+1)
	} else if g := <-w.got; g.err == nil {
		s.putBack(p, g.backing) // it came at the same moment
	}
	return provision.Backing{}, context.Cause(ctx)
}

// Return gives back a disk that was taken and is as it was.
func (s *Stock) Return(key Key, b provision.Backing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putBack(s.pools[key], b)
	s.plan()
}

// putBack adds a disk to a pool, or discards it when the pool has ended. Mu is
// held.
func (s *Stock) putBack(p *pool, b provision.Backing) {
	if p != nil && s.pools[p.key] == p {
		p.put(b)
		return
	}
	if !s.stopped {
		key := Key("")
		if p != nil {
			key = p.key
		}
		s.work.Go(func() { s.discard(key, b) })
	}
}

// watchLoad says when refilling falls behind the demand, and when it has caught
// up. Mu is held.
func (s *Stock) watchLoad(p *pool, now time.Time) {
	load := p.demand.Load(now)
	switch {
	case !p.behind && load > 1:
		p.behind = true
		s.note(p, Behind, p.demand.Refill(), fmt.Sprintf("load %.2f", load))
		s.opts.Logger.Warn("a pool cannot be refilled as fast as it is used", "pool", p.key, "load", load, "refill", p.demand.Refill())
	case p.behind && load < 0.9:
		p.behind = false
		s.note(p, CaughtUp, 0, "")
	}
}
