package ready

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/blockmill/blockmill/pool/provision"
)

// Errors of pools; test with errors.Is.
var (
	// ErrNoPool says that there is no pool of the key.
	ErrNoPool = errors.New("no such pool")
	// ErrStopped says that the stock, or the pool, has ended.
	ErrStopped = errors.New("pool has ended")
	// ErrNone says that nothing is ready.
	ErrNone = errors.New("no disk is ready")
)

// Maker makes and removes ready disks.
type Maker interface {
	// Make makes one for a pool; it is durable when Make returns. It is urgent
	// when a create waits for it. ErrNoPool says that the pool is about to be
	// closed, and that nothing has failed.
	Make(ctx context.Context, key Key, urgent bool) (provision.Backing, error)
	// Discard removes one.
	Discard(ctx context.Context, key Key, b provision.Backing) error
}

// Options say how to keep stock. Maker is required.
type Options struct {
	Maker Maker
	Rule  Rule
	// Workers bounds the refills of all pools that run at a time; 0 is 2.
	Workers int
	// ByteBudget bounds what all ready disks may hold; 0 is no bound.
	ByteBudget int64
	// IdleLimit is how long after the last create a pool's stock is given up,
	// but for its Min; 0 is an hour, negative never.
	IdleLimit time.Duration
	// Logger hears of refills that fail.
	Logger *slog.Logger
	// Metrics, unless nil, is told what happens.
	Metrics *Metrics
}

func (o Options) withDefaults() Options {
	o.Rule = o.Rule.withDefaults()
	if o.Workers <= 0 {
		o.Workers = 2
	}
	if o.IdleLimit == 0 {
		o.IdleLimit = time.Hour
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Stock is the pools of a node.
type Stock struct {
	opts   Options
	events *ring
	gate   *gate
	giving chan struct{} // has a token while a surplus disk is discarded

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	stopped bool          // guarded by mu
	pools   map[Key]*pool // guarded by mu
	running int           // refills; guarded by mu
	alarm   *time.Timer   // of the next time that something is due; guarded by mu
}

// New makes a stock without pools.
func New(opts Options) *Stock {
	s := &Stock{opts: opts.withDefaults(), events: newRing(), gate: newGate(), giving: make(chan struct{}, 1), pools: make(map[Key]*pool)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if m := s.opts.Metrics; m != nil {
		m.watch(s)
	}
	return s
}

// Stop ends all refills and waits for them. What is ready stays.
func (s *Stock) Stop() {
	s.mu.Lock()
	s.stopped = true
	if s.alarm != nil {
		s.alarm.Stop()
	}
	for _, p := range s.pools {
		for len(p.waiters) > 0 {
			p.fail(ErrStopped)
		}
	}
	s.mu.Unlock()
	s.cancel()
	s.work.Wait()
}

// Open begins a pool, with disks that are ready already. To open one again
// changes its settings and adds the disks.
func (s *Stock) Open(key Key, settings Settings, have []provision.Backing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pools[key]
	kind := Changed
	if p == nil {
		p = &pool{key: key, demand: NewDemand(s.opts.Rule), hurry: make(chan struct{})}
		s.pools[key] = p
		kind = Opened
	}
	p.settings = settings
	for _, b := range have {
		p.put(b)
	}
	s.note(p, kind, 0, "")
	s.plan()
}

// Close ends a pool and discards what it has ready. Creates that wait are told
// ErrStopped.
func (s *Stock) Close(key Key) error {
	s.mu.Lock()
	p := s.pools[key]
	if p == nil {
		s.mu.Unlock()
		return nil
	}
	delete(s.pools, key)
	for len(p.waiters) > 0 {
		p.fail(ErrStopped)
	}
	ready := p.ready
	p.ready = nil
	s.note(p, Closed, 0, "")
	s.mu.Unlock()
	var errs []error
	for _, b := range ready {
		errs = append(errs, s.opts.Maker.Discard(context.WithoutCancel(s.ctx), key, b))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close pool %s: %w", key, err)
	}
	return nil
}

// Foreground says that work begins which refills give way to, until end is
// called.
func (s *Stock) Foreground() (end func()) { return s.gate.enter() }

// GiveWay returns when no foreground work goes on, or has gone on for too long
// to wait for.
func (s *Stock) GiveWay(ctx context.Context) error { return s.gate.wait(ctx, nil) }

// Events gives the events after a serial that are still kept, and a channel that
// is closed when there are more.
func (s *Stock) Events(after uint64) ([]Event, <-chan struct{}) { return s.events.since(after) }

// Stats tells how the pools are, by their keys.
func (s *Stock) Stats() []Stat {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	all := make([]Stat, 0, len(s.pools))
	for _, key := range slices.Sorted(maps.Keys(s.pools)) {
		all = append(all, s.stat(s.pools[key], now))
	}
	return all
}

// Stat tells how a pool is.
func (s *Stock) Stat(key Key) (Stat, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pools[key]
	if p == nil {
		return Stat{}, fmt.Errorf("pool %s: %w", key, ErrNoPool)
	}
	return s.stat(p, time.Now()), nil
}

func (s *Stock) stat(p *pool, now time.Time) Stat {
	return Stat{
		Key: p.key, Settings: p.settings,
		Ready: len(p.ready), Target: p.target(now, s.opts.IdleLimit), Making: p.making, Waiting: len(p.waiters),
		Bytes: p.bytes(), Refill: p.demand.Refill(), Load: p.demand.Load(now), Counts: p.counts,
	}
}

// note writes an event. Mu is held.
func (s *Stock) note(p *pool, kind EventKind, took time.Duration, reason string) {
	now := time.Now()
	s.events.add(Event{
		Time: now, Pool: p.key, Kind: kind, Took: took, Reason: reason,
		Ready: len(p.ready), Target: p.target(now, s.opts.IdleLimit),
	})
	if m := s.opts.Metrics; m != nil {
		m.count(kind, took)
	}
}
