package scrub

import (
	"context"

	"github.com/blockmill/blockmill/blockio/stripe"
)

// rows checks the rows of all shards, before the chunks if those are due.
func (r *run) rows(ctx context.Context, chunks bool) error {
	var total int64
	shards := r.dir.Shards()
	for i := range shards {
		if n, err := shards[i].Used(); err == nil {
			total += n
		}
	}
	st := r.State().Rows
	report, err := r.dir.Volume.Scrub(ctx, stripe.ScrubOptions{
		Repair: r.opts.Repair, Rate: r.opts.Rate, Parallel: r.opts.Parallel, After: st.Cursor, Again: st.Left,
		Progress: func(p stripe.ScrubProgress) {
			r.note(func(st *State) { st.Rows.Cursor, st.Rows.Left = p.Cursor, p.Left })
			r.progressed(PhaseRows, p.Bytes, total)
		},
	})
	r.report.Rows = report
	r.report.Problems = append(r.report.Problems, report.Errs...)
	r.note(func(st *State) {
		r.counts.found += report.Found
		r.counts.repaired += report.Repaired
		left := r.report.Unrepaired()
		if err == nil && chunks {
			st.Rows.finished(left)
			st.Chunks.Begun = true
		} else if err == nil {
			r.finish = func(st *State) { st.Rows.finished(left) }
		} else if report.Cursor != "" {
			st.Rows.Cursor, st.Rows.Left = report.Cursor, report.Left
		}
	})
	return err
}
