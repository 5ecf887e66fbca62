package disks

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
	"github.com/blockmill/blockmill/pool/ready"
)

// PlayTicked is Play by a rule that pools do not have, for which the player keeps
// a shelf of disks by itself: at each tick as many begin to be made, one at a time,
// as there are too few of then, and creates that found none do not count. They are
// full copies that the node makes, and are on the shelf once refill has passed. To
// claim one is a durable change of its record, as with a pool; a create that
// finds none is the node's, whose pool is off meanwhile.
func (p *Place) PlayTicked(ctx context.Context, rule Fixed, refill time.Duration, c Course) (Played, error) {
	if _, err := p.Node.SetPool(ctx, p.Image.ID, ready.Settings{Max: -1}); err != nil {
		return Played{}, err
	}
	s := &shelf{place: p, rule: rule, refill: refill}
	tending, stop := context.WithCancel(ctx)
	defer stop()
	tended := make(chan error, 1)
	go func() { tended <- s.tend(tending) }()
	played, err := p.play(ctx, s, c)
	stop()
	return played, errors.Join(err, <-tended)
}

// shelf has the disks that are ready.
type shelf struct {
	place  *Place
	rule   Fixed
	refill time.Duration

	mu     sync.Mutex
	ready  []pool.Disk   // guarded by mu
	counts ready.Counts  // guarded by mu
	took   time.Duration // the last refill; guarded by mu
}

// tend makes disks at each tick until the context ends.
func (s *shelf) tend(ctx context.Context) error {
	tick := time.NewTicker(s.rule.Every)
	defer tick.Stop()
	for {
		for range s.rule.Capacity - s.len() {
			if err := s.add(ctx); err != nil {
				return ifRunning(ctx, err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// ifRunning is an error that did not come of the context's end.
func ifRunning(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (s *shelf) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ready)
}

// add makes a disk and puts it on the shelf.
func (s *shelf) add(ctx context.Context) error {
	began := time.Now()
	d, err := s.place.Node.CreateDisk(ctx, pool.Disk{Source: pool.Source{Image: s.place.Image.ID}, Method: provision.Copy})
	if err == nil {
		err = pause(ctx, time.Until(began.Add(s.refill)))
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = append(s.ready, d)
	s.counts.Refills++
	s.took = time.Since(began)
	return nil
}

// create implements maker.
func (s *shelf) create(ctx context.Context) (pool.Disk, error) {
	d, ok := s.take()
	if !ok {
		return (&pooled{place: s.place}).create(ctx)
	}
	claimed := "claimed"
	return s.place.Node.UpdateDisk(ctx, d.ID, pool.DiskEdit{Edit: pool.Edit{Description: &claimed}})
}

func (s *shelf) take() (d pool.Disk, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ready) == 0 {
		s.counts.Misses++
		return d, false
	}
	d, s.ready = s.ready[0], s.ready[1:]
	s.counts.Hits++
	return d, true
}

// stat implements maker.
func (s *shelf) stat() (ready.Stat, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := ready.Stat{Ready: len(s.ready), Refill: s.took, Counts: s.counts}
	for _, d := range s.ready {
		st.Bytes += d.Size
	}
	return st, nil
}
