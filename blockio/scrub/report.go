package scrub

import (
	"slices"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// Report is what a scrub found.
type Report struct {
	// Resumed says that it went on where an earlier one stopped.
	Resumed bool
	// Healed is what came of healing, nil when that was not wanted.
	Healed *stripe.HealReport
	// Rows is of the shards; it is empty when an earlier scrub did them and was
	// interrupted in its chunks.
	Rows stripe.ScrubReport
	// Chunks is of the chunks, nil when they were not due.
	Chunks *cas.VerifyReport
	// Unreadable are the guest ranges that what is left of damage touches.
	Unreadable []cas.GuestRange
	// Problems are why something could not be looked at or repaired.
	Problems []error
}

// Unrepaired is how many damaged places are left; a chunk in lost rows counts
// once.
func (r *Report) Unrepaired() int64 {
	n := max(r.Rows.Found-r.Rows.Repaired, int64(len(r.Rows.Lost)))
	if r.Chunks == nil {
		return n
	}
	lost := map[string][]cas.ObjectRange{}
	for _, l := range r.Rows.Lost {
		lost[l.Object] = append(lost[l.Object], cas.ObjectRange(l))
	}
	n += r.Chunks.Found
	for _, d := range r.Chunks.Damage {
		if slices.ContainsFunc(lost[d.Object], d.Overlaps) {
			n--
		}
	}
	return n
}

// damage lists what is left of damage.
func (r *Report) damage() []cas.ObjectRange {
	var ranges []cas.ObjectRange
	for _, l := range r.Rows.Lost {
		ranges = append(ranges, cas.ObjectRange(l))
	}
	if r.Chunks != nil {
		for _, d := range r.Chunks.Damage {
			ranges = append(ranges, d.ObjectRange)
		}
	}
	return ranges
}

// heal adds what came of a healing to what came of an earlier one.
func (r *Report) heal(h stripe.HealReport) {
	r.Problems = append(r.Problems, h.Errs...)
	if r.Healed == nil {
		r.Healed = &stripe.HealReport{}
	}
	sum := r.Healed
	sum.Objects += h.Objects
	sum.Rebuilt += h.Rebuilt
	sum.Removed += h.Removed
	sum.Left = h.Left
	sum.Lost = h.Lost
	sum.Errs = append(sum.Errs, h.Errs...)
}
