package disks

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/ready"
)

// Part is the beginning of a demand, so many times as fast.
func (d Demand) Part(length time.Duration, speed float64) []time.Time {
	var part []time.Time
	start := d.Creates[0]
	for _, at := range d.Creates {
		after := time.Duration(float64(at.Sub(start)) / speed)
		if after > length {
			break
		}
		part = append(part, start.Add(after))
	}
	return part
}

// Played is what became of a demand that was played.
type Played struct {
	Outcome
	// Waits are the creates that had to wait for a refill.
	Waits int
	// Bytes is what the ready disks held on average.
	Bytes float64
	// Refill is how long a refill took, of late.
	Refill  time.Duration
	Latency Latencies
}

// Course is how a demand is played.
type Course struct {
	// Creates are the times at which disks are made; those before From are not
	// counted, as with Simulate.
	Creates []time.Time
	From    time.Time
	// Life is how long each is there.
	Life time.Duration
}

// Play makes disks of the node at the times of a demand, by the real clock, and
// deletes each at the end of its life.
func (p *Place) Play(ctx context.Context, c Course) (Played, error) {
	return p.play(ctx, &pooled{place: p}, c)
}

// maker makes the disks that are played.
type maker interface {
	create(ctx context.Context) (pool.Disk, error)
	stat() (ready.Stat, error)
}

// pooled leaves all to the node and its pool.
type pooled struct{ place *Place }

func (m *pooled) create(ctx context.Context) (pool.Disk, error) {
	return m.place.Node.CreateDisk(ctx, pool.Disk{Source: pool.Source{Image: m.place.Image.ID}})
}

func (m *pooled) stat() (ready.Stat, error) {
	return m.place.Node.Pools().Stat(ready.Key(m.place.Image.ID))
}

func (p *Place) play(ctx context.Context, m maker, c Course) (Played, error) {
	pl := &player{node: p.Node, maker: m}
	sampled := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	offset := time.Since(c.Creates[0])
	for _, at := range c.Creates {
		counted := !at.Before(c.From)
		wg.Go(func() { pl.fail(pl.play(ctx, at.Add(offset), counted, c.Life)) })
	}
	go func() {
		defer close(sampled)
		pl.fail(pl.sample(ctx, c.From.Add(offset), c.Creates[len(c.Creates)-1].Add(offset)))
	}()
	<-sampled
	wg.Wait()
	slices.Sort(pl.latency)
	pl.played.Latency = pl.latency
	return pl.played, errors.Join(pl.errs...)
}

type player struct {
	node  *pool.Node
	maker maker

	mu      sync.Mutex
	latency Latencies // guarded by mu
	errs    []error   // guarded by mu

	played Played // the sampler's
}

func (pl *player) fail(err error) {
	if err == nil {
		return
	}
	pl.mu.Lock()
	defer pl.mu.Unlock()
	pl.errs = append(pl.errs, err)
}

// play is the life of one disk.
func (pl *player) play(ctx context.Context, at time.Time, counted bool, life time.Duration) error {
	if err := pause(ctx, time.Until(at)); err != nil {
		return err
	}
	began := time.Now()
	d, err := pl.maker.create(ctx)
	if err != nil {
		return err
	}
	if counted {
		pl.mu.Lock()
		pl.latency = append(pl.latency, time.Since(began))
		pl.mu.Unlock()
	}
	if err := pause(ctx, life); err != nil {
		return err
	}
	return pl.node.DeleteDisk(ctx, d.ID)
}

// sample looks at the pool from a time to another.
func (pl *player) sample(ctx context.Context, from, to time.Time) error {
	// What comes at the very time from is to be counted, and what comes last.
	const margin = 50 * time.Millisecond
	if err := pause(ctx, time.Until(from)-margin); err != nil {
		return err
	}
	first, err := pl.maker.stat()
	if err != nil {
		return err
	}
	samples, last := 0.0, first
	for time.Now().Before(to.Add(2 * time.Second)) {
		if err := pause(ctx, margin); err != nil {
			return err
		}
		if last, err = pl.maker.stat(); err != nil {
			return err
		}
		samples++
		pl.played.Held += (float64(last.Ready) - pl.played.Held) / samples
		pl.played.Bytes += (float64(last.Bytes) - pl.played.Bytes) / samples
		pl.played.Most = max(pl.played.Most, last.Ready)
	}
	pl.played.Hits, pl.played.Waits = int(last.Hits-first.Hits), int(last.Waits-first.Waits)
	pl.played.Creates = pl.played.Hits + pl.played.Waits + int(last.Misses-first.Misses)
	pl.played.Refill = last.Refill
	return nil
}
