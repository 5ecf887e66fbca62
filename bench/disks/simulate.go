package disks

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/blockmill/blockmill/pool/ready"
)

// Keeper decides how many disks to keep ready.
type Keeper interface {
	// Arrive hears of a create.
	Arrive(now time.Time)
	// Target is how many disks should be ready.
	Target(now time.Time) int
	// Tick is how often the stock is looked after; 0 is with every event.
	Tick() time.Duration
}

// Outcome is what a keeper came to.
type Outcome struct {
	Creates, Hits int
	// Held is how many disks were ready on average over time, Most at a time.
	Held float64
	Most int
}

// HitRate is the share of creates that found a disk ready.
func (o Outcome) HitRate() float64 { return float64(o.Hits) / float64(max(1, o.Creates)) }

// Demanded is the rule that pools follow.
type Demanded struct{ demand *ready.Demand }

// NewDemanded makes the rule of pools, which knows how long a refill takes.
func NewDemanded(refill time.Duration) *Demanded {
	return &Demanded{ready.NewDemand(ready.Rule{Refill: refill})}
}

// Arrive implements Keeper.
func (k *Demanded) Arrive(now time.Time) { k.demand.Arrive(now) }

// Target implements Keeper, with the bounds that pools have by default.
func (k *Demanded) Target(now time.Time) int {
	if last := k.demand.Latest(); !last.IsZero() && now.Sub(last) > time.Hour {
		return 0
	}
	return min(max(k.demand.Target(now), ready.DefaultMin), ready.DefaultMax)
}

// Tick implements Keeper.
func (*Demanded) Tick() time.Duration { return 0 }

// Fixed keeps a number of disks ready, looked after at every event, or once in
// a while: with a capacity of 1 and a tick of a minute it is what is known of a
// large cloud's image pools.
type Fixed struct {
	Capacity int
	Every    time.Duration
}

// Arrive implements Keeper.
func (Fixed) Arrive(time.Time) {}

// Target implements Keeper.
func (k Fixed) Target(time.Time) int { return k.Capacity }

// Tick implements Keeper.
func (k Fixed) Tick() time.Duration { return k.Every }

// Simulate plays creates, in order, against a keeper. One disk is made at a time
// and takes the refill time. A create that finds none makes its own. Creates
// before the time from are not counted: a rule that learns has learnt then.
func Simulate(k Keeper, creates []time.Time, refill time.Duration, from time.Time) Outcome {
	var o Outcome
	s := &simulation{keeper: k, refill: refill, now: creates[0], from: from}
	s.tick = s.now
	s.plan()
	for _, at := range creates {
		s.advance(at)
		k.Arrive(at)
		hit := s.stock > 0
		if hit {
			s.stock--
		}
		if !at.Before(from) {
			o.Creates++
			if hit {
				o.Hits++
			}
		}
		if k.Tick() == 0 {
			s.plan()
		}
	}
	o.Held = s.area / s.now.Sub(from).Seconds()
	o.Most = s.most
	return o
}

type simulation struct {
	keeper Keeper
	refill time.Duration
	from   time.Time

	now    time.Time
	tick   time.Time // the next one
	done   time.Time // of the disk that is being made; zero for none
	queued int       // to be made after it, as the last tick found
	stock  int
	area   float64 // disks times seconds
	most   int
}

// advance lets time pass until a create.
func (s *simulation) advance(to time.Time) {
	const step = time.Second // at which an idle stock is looked at
	for s.now.Before(to) {
		next := to
		for _, t := range []time.Time{s.done, s.nextTick(), s.from, s.now.Add(60 * step)} {
			if t.After(s.now) && t.Before(next) {
				next = t
			}
		}
		if !s.now.Before(s.from) {
			s.area += float64(s.stock) * next.Sub(s.now).Seconds()
			s.most = max(s.most, s.stock)
		}
		s.now = next
		if !s.done.IsZero() && !s.done.After(s.now) {
			s.stock++
			s.done = time.Time{}
		}
		s.plan()
	}
}

func (s *simulation) nextTick() time.Time {
	if s.keeper.Tick() == 0 {
		return time.Time{}
	}
	return s.tick
}

// plan starts and discards what is due.
func (s *simulation) plan() {
	target := s.keeper.Target(s.now)
	if every := s.keeper.Tick(); every > 0 {
		if !s.now.Before(s.tick) {
			s.queued = max(0, target-s.stock)
			s.tick = s.tick.Add(every)
		}
	} else {
		s.queued = max(0, target-s.stock)
		s.stock = min(s.stock, target+1)
	}
	if s.done.IsZero() && s.queued > 0 {
		s.queued--
		s.done = s.now.Add(s.refill)
	}
}

// Demand is a series of creates to simulate.
type Demand struct {
	Name    string
	Creates []time.Time
}

// Demands are the kinds of demand that pools meet, a week of each: steady,
// in batches, and bursts after quiet. They are the same every time.
func Demands() []Demand {
	const week = 7 * 24 * time.Hour
	rng := rand.New(rand.NewPCG(1, 2))
	start := time.Unix(0, 0).UTC()
	random := func(mean time.Duration, n func() int, within time.Duration) []time.Time {
		var all []time.Time
		for at := start; at.Sub(start) < week; at = at.Add(time.Duration(rng.ExpFloat64() * float64(mean))) {
			for range n() {
				all = append(all, at.Add(time.Duration(rng.Float64()*float64(within))))
			}
		}
		slices.SortFunc(all, time.Time.Compare)
		return all
	}
	one := func() int { return 1 }
	return []Demand{
		{"steady, 6 a minute", random(10*time.Second, one, 0)},
		{"batches of 10, every 5 minutes", random(5*time.Minute, func() int { return 10 }, time.Second)},
		{"quiet, then bursts of 5 to 30 in half a minute", random(45*time.Minute, func() int { return 5 + rng.IntN(26) }, 30*time.Second)},
	}
}
