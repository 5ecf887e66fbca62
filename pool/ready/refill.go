package ready

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/blockmill/blockmill/pool/provision"
)

// plan starts the refills and discards that are needed now. Mu is held. It is
// called with every event: there is nothing to wait for but failures and idle
// pools, for which the alarm is set.
func (s *Stock) plan() {
	if s.stopped {
		return
	}
	now := time.Now()
	var due time.Time
	for _, p := range s.byNeed(now) {
		s.discardSurplus(p, now)
		for s.running < s.opts.Workers && s.wants(p, now) {
			s.start(p)
		}
		due = earliest(due, s.dueAt(p, now))
	}
	s.setAlarm(due, now)
}

// byNeed orders pools: those for which creates wait come first, then those that
// lack most of what they should have.
func (s *Stock) byNeed(now time.Time) []*pool {
	all := make([]*pool, 0, len(s.pools))
	for _, p := range s.pools {
		all = append(all, p)
	}
	lack := func(p *pool) float64 {
		target := p.target(now, s.opts.IdleLimit)
		if target == 0 {
			return 0
		}
		return float64(target-len(p.ready)-p.making) / float64(target)
	}
	slices.SortFunc(all, func(a, b *pool) int {
		switch la, lb := lack(a), lack(b); {
		case (len(a.waiters) > 0) != (len(b.waiters) > 0):
			return len(b.waiters) - len(a.waiters)
		case la > lb:
			return -1
		case la < lb:
			return 1
		}
		return 0
	})
	return all
}

// wants says whether one more disk is to be made for a pool. A create that waits is
// worth a try at once, whatever came of those before. Mu is held.
func (s *Stock) wants(p *pool, now time.Time) bool {
	if p.making >= s.opts.Rule.Parallel {
		return false
	}
	if len(p.waiters) > p.making {
		return true
	}
	return !now.Before(p.retry) && len(p.ready)+p.making-len(p.waiters) < p.target(now, s.opts.IdleLimit) && s.affords(p)
}

// affords says whether the byte budget has room for one more of a pool's disks,
// as large as those that it has. Mu is held.
func (s *Stock) affords(p *pool) bool {
	if s.opts.ByteBudget <= 0 {
		return true
	}
	var held, one int64
	for _, q := range s.pools {
		held += q.bytes()
	}
	if n := len(p.ready); n > 0 {
		one = p.bytes() / int64(n)
	}
	return held+one*int64(1+p.making) <= s.opts.ByteBudget && (one > 0 || held < s.opts.ByteBudget)
}

// start begins to make a disk. Mu is held.
func (s *Stock) start(p *pool) {
	p.making++
	s.running++
	urgent := len(p.waiters) >= p.making
	hurry := p.hurry
	s.work.Go(func() { s.refill(p, urgent, hurry) })
}

func (s *Stock) refill(p *pool, urgent bool, hurry <-chan struct{}) {
	var b provision.Backing
	var err error
	planned := time.Now()
	if !urgent {
		err = s.gate.wait(s.ctx, hurry)
	}
	began := time.Now()
	if err == nil {
		b, err = s.opts.Maker.Make(s.ctx, p.key, urgent)
	}
	took := time.Since(began)
	s.mu.Lock()
	p.making--
	s.running--
	open := s.pools[p.key] == p
	switch {
	case err != nil:
		s.failed(p, err)
	case open:
		p.demand.Refilled(time.Since(planned)) // giving way is part of it
		s.refilled(p, b, took)
	}
	s.plan()
	s.mu.Unlock()
	if err == nil && !open {
		s.discard(p.key, b)
	}
}

// refilled adds a disk that was made. Mu is held.
func (s *Stock) refilled(p *pool, b provision.Backing, took time.Duration) {
	p.failures, p.retry = 0, time.Time{}
	p.counts.Refills++
	p.put(b)
	s.note(p, Refilled, took, "")
}

// failed notes a refill that failed: the first who waits is told, and the next
// one for the stock is tried later and later. Mu is held.
func (s *Stock) failed(p *pool, err error) {
	if s.stopped {
		return
	}
	p.fail(err)
	if errors.Is(err, ErrNoPool) {
		p.retry = time.Now().Add(time.Second) // it is closed before
		return
	}
	p.failures++
	p.counts.Failures++
	p.retry = time.Now().Add(min(time.Second<<min(p.failures-1, 6), time.Minute))
	s.note(p, Failed, 0, err.Error())
	s.opts.Logger.Error("a ready disk could not be made", "pool", p.key, "reason", err)
}

// discardSurplus gives up what is ready beyond the target, when the demand has
// gone or the settings have changed. One more than the target is let be. Mu is
// held.
func (s *Stock) discardSurplus(p *pool, now time.Time) {
	target := p.target(now, s.opts.IdleLimit)
	slack := 1
	if target <= p.settings.Min || p.settings.Capacity > 0 {
		slack = 0
	}
	for len(p.ready) > target+slack {
		b, _ := p.next(Want{})
		p.counts.Discards++
		s.note(p, Discarded, 0, "")
		s.work.Go(func() { s.giveUp(p.key, b) })
	}
}

// giveUp discards a surplus disk, one at a time and behind foreground work, which the
// removal of many files would slow down; at once when the stock stops.
func (s *Stock) giveUp(key Key, b provision.Backing) {
	s.giving <- struct{}{}
	defer func() { <-s.giving }()
	_ = s.gate.wait(s.ctx, nil)
	s.discard(key, b)
}

// discard removes a disk that nobody has. What fails to go is a leftover, which
// the next start removes.
func (s *Stock) discard(key Key, b provision.Backing) {
	// Stop waits for it.
	if err := s.opts.Maker.Discard(context.WithoutCancel(s.ctx), key, b); err != nil {
		s.opts.Logger.Error("a ready disk could not be removed", "pool", key, "backing", b.ID, "reason", err)
	}
}

// dueAt is when something is due for a pool that no event will announce. Mu is
// held.
func (s *Stock) dueAt(p *pool, now time.Time) time.Time {
	var due time.Time
	if p.retry.After(now) {
		due = p.retry
	}
	idle := s.opts.IdleLimit
	if p.settings.IdleLimit != 0 {
		idle = p.settings.IdleLimit
	}
	if last := p.demand.Latest(); idle > 0 && !last.IsZero() && last.Add(idle).After(now) {
		due = earliest(due, last.Add(idle))
	}
	return due
}

// earliest is the earlier of two times, of which the zero one is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// setAlarm has plan called when something is due. Mu is held.
func (s *Stock) setAlarm(due, now time.Time) {
	if s.alarm != nil {
		s.alarm.Stop()
		s.alarm = nil
	}
	if due.IsZero() {
		return
	}
	s.alarm = time.AfterFunc(due.Sub(now), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.plan()
	})
}
