package ready

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/blockmill/blockmill/pool/provision"
)

// Taken is a disk that a create was given. Whoever has it says once what became of
// it, or keeps silent, and leaves it to the next start.
type Taken struct {
	provision.Backing
	stock  *Stock
	pool   *pool
	waited time.Duration // 0 when the disk was there
}

// Keep says that the disk is the create's: only that is a hit, or a wait.
func (t *Taken) Keep() {
	s, p := t.stock, t.pool
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.waited > 0 {
		p.counts.Waits++
		s.note(p, Waited, t.waited, "")
		return
	}
	p.counts.Hits++
	s.note(p, Hit, 0, "")
}

// Return gives the disk back, which is as it was.
func (t *Taken) Return() {
	s, key := t.stock, t.pool.key
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putBack(key, s.pools[key], t.Backing)
	s.plan()
}

// Discard removes a disk that is of no use to the create, which is a miss.
func (t *Taken) Discard(ctx context.Context) error {
	s, p := t.stock, t.pool
	s.mu.Lock()
	p.counts.Misses++
	s.note(p, Miss, 0, "")
	p.counts.Discards++
	s.note(p, Discarded, 0, "")
	s.mu.Unlock()
	return s.opts.Maker.Discard(ctx, p.key, t.Backing)
}

// Want says what ready disk a create wants; the zero value is any, if there is one.
type Want struct {
	// Suits, unless it is nil, says whether a disk is what is wanted. It is called
	// while the stock is locked.
	Suits func(provision.Backing) bool
	// Wait has the create wait for the refill that it starts, when nothing is there.
	Wait bool
}

func (w Want) suits(b provision.Backing) bool { return w.Suits == nil || w.Suits(b) }

// Take gives a ready disk. Without one, or when what was made meanwhile does not suit,
// it is ErrNone.
func (s *Stock) Take(ctx context.Context, key Key, want Want) (*Taken, error) {
	s.mu.Lock()
	p := s.pools[key]
	if p == nil || s.stopped {
		s.mu.Unlock()
		return nil, fmt.Errorf("pool %s: %w", key, ErrNoPool)
	}
	now := time.Now()
	p.demand.Arrive(now)
	s.watchLoad(p, now)
	if b, ok := p.next(want); ok {
		s.plan()
		s.mu.Unlock()
		return &Taken{Backing: b, stock: s, pool: p}, nil
	}
	if !want.Wait {
		defer s.mu.Unlock()
		return nil, s.miss(p)
	}
	w := &waiter{since: now, got: make(chan given, 1)}
	p.waiters = append(p.waiters, w)
	close(p.hurry)
	p.hurry = make(chan struct{})
	s.plan()
	s.mu.Unlock()
	return s.await(ctx, p, w, want)
}

// miss counts a create that found nothing, and plans for it. Mu is held.
func (s *Stock) miss(p *pool) error {
	p.counts.Misses++
	s.note(p, Miss, 0, "")
	s.plan()
	return fmt.Errorf("pool %s: %w", p.key, ErrNone)
}

// await returns what a waiter is given.
func (s *Stock) await(ctx context.Context, p *pool, w *waiter, want Want) (*Taken, error) {
	select {
	case g := <-w.got:
		if g.err != nil {
			return nil, g.err
		}
		if !want.suits(g.backing) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.putBack(p.key, p, g.backing)
			return nil, s.miss(p)
		}
		return &Taken{Backing: g.backing, stock: s, pool: p, waited: max(time.Since(w.since), 1)}, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(p.waiters, w); i >= 0 {
		p.waiters = slices.Delete(p.waiters, i, i+1)
	} else if g := <-w.got; g.err == nil {
		s.putBack(p.key, p, g.backing) // it came at the same moment
	}
	return nil, context.Cause(ctx)
}

// putBack adds a disk to a pool, or discards it when the pool has ended. Mu is
// held.
func (s *Stock) putBack(key Key, p *pool, b provision.Backing) {
	if p != nil && s.pools[key] == p {
		p.put(b)
		return
	}
	if !s.stopped {
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
