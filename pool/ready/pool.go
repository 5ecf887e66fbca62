package ready

import (
	"slices"
	"time"

	"github.com/blockmill/blockmill/pool/provision"
)

// Key names a pool: the id of its image.
type Key string

// pool is the ready disks of one image. All fields but key are guarded by the
// stock's mu.
type pool struct {
	key      Key
	settings Settings
	demand   *Demand

	ready   []provision.Backing // the oldest first
	waiters []*waiter           // in their order
	making  int
	hurry   chan struct{} // closed when a create waits while a refill gives way

	failures int       // of refills, in a row
	retry    time.Time // no refill before this, after a failure
	behind   bool
	counts   Counts
}

// waiter is a create that waits for a disk.
type waiter struct {
	since time.Time
	got   chan given // has room for one
}

type given struct {
	backing provision.Backing
	err     error
}

// Counts are what happened in a pool since it was opened.
type Counts struct {
	Hits, Misses, Waits, Refills, Failures, Discards int64
}

// Stat is how a pool is.
type Stat struct {
	Key      Key
	Settings Settings
	// Ready disks are there, Target are wanted, Making are being made,
	// Waiting creates wait for one.
	Ready, Target, Making, Waiting int
	// Bytes is what the ready disks hold.
	Bytes int64
	// Refill is how long making a disk takes, of late; Load the share of its
	// time that refilling needs to keep up.
	Refill time.Duration
	Load   float64
	Counts
}

// target is how many disks should be ready now.
func (p *pool) target(now time.Time, idle time.Duration) int {
	want := max(p.demand.Target(now), DefaultMin)
	if p.settings.IdleLimit != 0 {
		idle = p.settings.IdleLimit
	}
	if last := p.demand.Latest(); idle > 0 && !last.IsZero() && now.Sub(last) >= idle {
		want = 0
	}
	return p.settings.bound(want)
}

// bytes is what the ready disks hold.
func (p *pool) bytes() int64 {
	var n int64
	for _, b := range p.ready {
		n += b.Held
	}
	return n
}

// next takes the oldest ready disk that is wanted; false when there is none.
func (p *pool) next(want Want) (provision.Backing, bool) {
	i := slices.IndexFunc(p.ready, want.suits)
	if i < 0 {
		return provision.Backing{}, false
	}
	b := p.ready[i]
	p.ready = slices.Delete(p.ready, i, i+1)
	return b, true
}

// put gives a disk to the first who waits, else to the stock.
func (p *pool) put(b provision.Backing) {
	if len(p.waiters) == 0 {
		p.ready = append(p.ready, b)
		return
	}
	w := p.waiters[0]
	p.waiters = slices.Delete(p.waiters, 0, 1)
	w.got <- given{backing: b}
}

// fail tells the first who waits that there will be no disk.
func (p *pool) fail(err error) {
	if len(p.waiters) > 0 {
		w := p.waiters[0]
		p.waiters = slices.Delete(p.waiters, 0, 1)
		w.got <- given{err: err}
	}
}
