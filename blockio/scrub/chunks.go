package scrub

import (
	"context"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
)

// chunks checks the BLAKE3 of all chunks.
func (r *run) chunks(ctx context.Context) error {
	st := r.State().Chunks
	report, err := r.store.VerifyChunks(ctx, cas.VerifyOptions{
		After: st.Cursor, Again: st.Left, Limit: blockio.NewLimiter(r.opts.Rate), Parallel: r.opts.Parallel,
		Progress: func(p cas.VerifyProgress) {
			r.note(func(st *State) { st.Chunks.Cursor, st.Chunks.Left = p.Cursor, p.Left })
			r.progressed(PhaseChunks, p.Bytes, p.Total)
		},
	})
	r.report.Chunks = &report
	r.note(func(st *State) {
		r.counts.found += report.Found
		r.counts.chunks += report.Chunks
		if err == nil {
			r.finish = func(st *State) { st.Chunks.finished(report.Found) }
		} else if report.Cursor != "" {
			st.Chunks.Cursor, st.Chunks.Left = report.Cursor, report.Left
		}
	})
	return err
}

// unreadable finds out what is left of damage means for guests.
func (r *run) unreadable(ctx context.Context) (err error) {
	r.report.Unreadable, err = r.store.Unreadable(ctx, r.report.damage())
	return err
}
