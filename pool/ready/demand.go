package ready

import (
	"slices"
	"time"
)

// Demand is what was observed of the creates from one image. It is not safe for
// concurrent use.
type Demand struct {
	rule Rule

	arrivals []arrival   // within the window, ascending
	needs    []int       // how many of them had each need
	busy     []time.Time // when each of the parallel refills would be done
	refill   time.Duration
}

// arrival is a create: how many disks would have had to be ready for it.
type arrival struct {
	at   time.Time
	need int
}

// Rule says how demand becomes a target; the zero value works.
type Rule struct {
	// Quantile is the share of creates that should find a disk ready; 0 is
	// 0.98.
	Quantile float64
	// Window is how far back creates are looked at; 0 is 24 hours.
	Window time.Duration
	// Most bounds how many creates are looked at; 0 is 1,000.
	Most int
	// Parallel is how many disks are made at a time for an image; 0 is 1.
	Parallel int
	// Refill is how long making a disk is taken to last before it was
	// measured; 0 is a second.
	Refill time.Duration
}

func (r Rule) withDefaults() Rule {
	if r.Quantile <= 0 || r.Quantile > 1 {
		r.Quantile = 0.98
	}
	if r.Window <= 0 {
		r.Window = 24 * time.Hour
	}
	if r.Most <= 0 {
		r.Most = 1000
	}
	if r.Parallel <= 0 {
		r.Parallel = 1
	}
	if r.Refill <= 0 {
		r.Refill = time.Second
	}
	return r
}

// NewDemand begins to observe.
func NewDemand(r Rule) *Demand {
	r = r.withDefaults()
	return &Demand{rule: r, busy: make([]time.Time, r.Parallel), refill: r.Refill}
}

// Arrive notes a create.
func (d *Demand) Arrive(now time.Time) {
	// The refills that creates before this one began, as if each began one:
	// those not yet done are missing from the stock.
	first := 0
	for i := range d.busy {
		if d.busy[i].Before(d.busy[first]) {
			first = i
		}
	}
	start := now
	if d.busy[first].After(now) {
		start = d.busy[first]
	}
	d.busy[first] = start.Add(d.refill)
	need := 0
	for _, done := range d.busy {
		if left := done.Sub(now); left > 0 {
			need += int((left + d.refill - 1) / d.refill)
		}
	}
	need = min(max(need, 1), MaxCapacity)
	if need >= len(d.needs) {
		d.needs = append(d.needs, make([]int, need+1-len(d.needs))...)
	}
	d.needs[need]++
	d.arrivals = append(d.arrivals, arrival{now, need})
	d.trim(now)
}

// Refilled notes how long making a disk took.
func (d *Demand) Refilled(took time.Duration) {
	took = max(took, time.Millisecond)
	d.refill += (took - d.refill) / 4
}

// Refill is how long making a disk takes, of late.
func (d *Demand) Refill() time.Duration { return d.refill }

// Latest is when the last create came; zero without one.
func (d *Demand) Latest() time.Time {
	if len(d.arrivals) == 0 {
		return time.Time{}
	}
	return d.arrivals[len(d.arrivals)-1].at
}

// Target is how many disks should be ready; 0 when nothing was observed within
// the window.
func (d *Demand) Target(now time.Time) int {
	d.trim(now)
	if len(d.arrivals) == 0 {
		return 0
	}
	// As many creates as need not find one may need more.
	beyond := int((1 - d.rule.Quantile) * float64(len(d.arrivals)))
	for need := len(d.needs) - 1; need > 0; need-- {
		if beyond -= d.needs[need]; beyond < 0 {
			return need + 1
		}
	}
	return 0
}

// Load is the share of its time that refilling needs to keep up with the demand
// of late: above 1 no stock is large enough. It looks at the last creates only,
// as a burst is no sustained demand.
func (d *Demand) Load(now time.Time) float64 {
	const sustained = 20
	n := len(d.arrivals)
	if n < sustained {
		return 0
	}
	span := now.Sub(d.arrivals[n-sustained].at)
	if span <= 0 {
		span = time.Nanosecond
	}
	return sustained * float64(d.refill) / float64(d.rule.Parallel) / float64(span)
}

func (d *Demand) trim(now time.Time) {
	from := max(0, len(d.arrivals)-d.rule.Most)
	for from < len(d.arrivals) && now.Sub(d.arrivals[from].at) > d.rule.Window {
		from++
	}
	for _, a := range d.arrivals[:from] {
		d.needs[a.need]--
	}
	d.arrivals = slices.Delete(d.arrivals, 0, from)
}
