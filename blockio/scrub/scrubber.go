package scrub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/blockio/storedir"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// ErrRunning says that a scrub of the store is under way.
var ErrRunning = errors.New("a scrub is under way")

// Scrubber scrubs one store.
type Scrubber struct {
	// Immutable.
	dir     *storedir.Dir
	running chan struct{} // has a token of the scrub that runs

	mu       sync.Mutex
	state    State     // guarded by mu
	saved    time.Time // when state was written last; guarded by mu
	progress Progress  // of the scrub that runs; guarded by mu
	counts   counts    // guarded by mu
}

// counts are what all scrubs of a Scrubber did.
type counts struct {
	found, repaired, chunks int64
}

// New makes a scrubber of the store in an open directory.
func New(dir *storedir.Dir) *Scrubber {
	return &Scrubber{dir: dir, running: make(chan struct{}, 1), state: ReadState(dir.Path())}
}

// State is what is known of the scrubs up to now.
func (s *Scrubber) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Running says how far the scrub under way is, if one is.
func (s *Scrubber) Running() (Progress, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress, len(s.running) > 0
}

// Run scrubs the store; ErrRunning while it does already. Open gives the store
// when it is needed: for the chunks, and to tell what damage touches. When Run is
// cancelled, the next one goes on where it was, and the report is of what was
// done. Its error says that it could not go on, not that something is wrong.
func (s *Scrubber) Run(ctx context.Context, open OpenStore, opts Options) (Report, error) {
	select {
	case s.running <- struct{}{}:
	default:
		return Report{}, fmt.Errorf("scrub: %w", ErrRunning)
	}
	defer func() { <-s.running }()
	r := &run{Scrubber: s, open: open, opts: opts.withDefaults()}
	err := r.run(ctx)
	if saveErr := s.save(); saveErr != nil {
		r.report.Problems = append(r.report.Problems, fmt.Errorf("remember the scrub: %w", saveErr))
	}
	if err != nil {
		return r.report, fmt.Errorf("scrub: %w", err)
	}
	return r.report, nil
}

// run is one scrub.
type run struct {
	*Scrubber
	open   OpenStore
	opts   Options
	report Report
	store  *cas.Store // nil before it is needed
	// finish ends the last cycle, when all of the report is there.
	finish func(*State)
}

func (r *run) run(ctx context.Context) error {
	rows, chunks := r.begin()
	if err := r.heal(ctx, r.opts.Repair); err != nil {
		return err
	}
	if rows {
		if err := r.rows(ctx, chunks); err != nil {
			return err
		}
	}
	if chunks {
		if err := r.openedFor(ctx, r.chunks); err != nil {
			return err
		}
		// Reads that found wrong bytes have queued them.
		if err := r.heal(ctx, r.opts.Repair && r.dir.Volume.Stats().Queued > 0); err != nil {
			return err
		}
	}
	if len(r.report.damage()) > 0 {
		if err := r.openedFor(ctx, r.unreadable); err != nil {
			return err
		}
	}
	if r.finish != nil { // not when the store cannot be opened
		r.note(r.finish)
	}
	return nil
}

// begin says what is to be looked at. A scrub that was interrupted in its chunks
// has done the rows.
func (r *run) begin() (rows, chunks bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := &r.state
	if r.opts.Restart {
		st.Rows.restart()
		st.Chunks.restart()
	}
	switch r.opts.Full {
	case FullNow:
		chunks = true
	case FullWhenDue:
		chunks = st.Chunks.Begun || time.Since(st.Chunks.FinishedAt) >= r.opts.FullEvery
	}
	rows = st.Rows.Begun || !st.Chunks.Begun || !chunks
	r.report.Resumed = st.Rows.Begun || !rows
	st.Rows.Begun = rows
	return rows, chunks
}

// openedFor calls f with the store open. What is wrong with the store itself is a
// problem to report: it may be what is damaged.
func (r *run) openedFor(ctx context.Context, f func(context.Context) error) error {
	err := error(nil)
	if r.store == nil {
		r.store, err = r.open(ctx)
	}
	if err == nil {
		err = f(ctx)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		r.report.Problems = append(r.report.Problems, err)
	}
	return nil
}

func (r *run) heal(ctx context.Context, wanted bool) error {
	if _, parity := r.dir.Volume.Geometry(); !wanted || parity == 0 {
		return nil
	}
	h, err := r.dir.Volume.Heal(ctx, stripe.HealOptions{Rate: r.opts.Rate, Progress: func(p stripe.HealProgress) {
		r.progressed(PhaseHeal, p.Done, p.Objects)
	}})
	r.report.heal(h)
	return err
}

// progressed tells how far the scrub is.
func (r *run) progressed(phase Phase, done, total int64) {
	p := Progress{phase, done, total}
	r.mu.Lock()
	r.progress = p
	r.mu.Unlock()
	if r.opts.Progress != nil {
		r.opts.Progress(p)
	}
}

// saveEvery is the least time between two writes of the state of a scrub that
// runs.
const saveEvery = 2 * time.Second

// note changes the state, and writes it now and then. What cannot be written is
// scrubbed twice if the process ends here.
func (s *Scrubber) note(change func(*State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.state)
	if now := time.Now(); now.Sub(s.saved) >= saveEvery {
		s.saved = now
		_ = s.state.write(s.dir.Path())
	}
}

func (s *Scrubber) save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved = time.Now()
	return s.state.write(s.dir.Path())
}
