package stripe

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// ScrubOptions are options of Scrub; the zero value only looks.
type ScrubOptions struct {
	// Repair rebuilds what is wrong as it is found.
	Repair bool
	// Rate bounds the bytes of shards read a second, all shards together;
	// zero is no bound.
	Rate int64
	// After is the Cursor of an earlier report: objects up to it are passed
	// over.
	After string
	// Parallel is how many objects are checked at a time; zero is 2, so that
	// no shard waits at the end of an object. Each is read on all shards at
	// once.
	Parallel int
	// Progress hears of each object that is done; nil is nobody. It is called
	// by one goroutine at a time.
	Progress func(ScrubProgress)
}

// ScrubProgress is how far a scrub is.
type ScrubProgress struct {
	Objects, Bytes int64
	Cursor         string
}

// ScrubReport is what a scrub found.
type ScrubReport struct {
	// Objects were looked at, Bytes of shards were read.
	Objects, Bytes int64
	// Found counts what was wrong, Repaired what is right now.
	Found, Repaired int64
	// Findings are the first maxFindings of what was found.
	Findings []Finding
	// Lost are the bytes that cannot be read any more.
	Lost []Range
	// Errs are why repairs failed.
	Errs []error
	// Cursor is the last object up to which all are done: for
	// ScrubOptions.After of the next scrub. It is empty when all are.
	Cursor string
}

// Clean says that nothing is wrong, or nothing any more.
func (r *ScrubReport) Clean() bool {
	return r.Found == r.Repaired && len(r.Lost) == 0 && len(r.Errs) == 0
}

// maxFindings bounds the report.
const maxFindings = 1 << 17

// Scrub reads every unit of every shard in the order of the objects' names,
// checks it, and reports what is wrong. When it is cancelled, the report is of
// what was done. The caller holds no buffer of the arena.
func (v *Volume) Scrub(ctx context.Context, opts ScrubOptions) (ScrubReport, error) {
	s := scrub{volume: v, opts: opts, limit: newLimiter(opts.Rate)}
	if err := s.run(ctx); err != nil {
		return s.report, fmt.Errorf("scrub: %w", err)
	}
	return s.report, nil
}

type scrub struct {
	volume *Volume
	opts   ScrubOptions
	limit  *limiter

	mu      sync.Mutex
	report  ScrubReport // guarded by mu
	pending []*scrubbed // begun, in their order; guarded by mu
}

// scrubbed is an object that is being checked.
type scrubbed struct {
	name string
	done bool
}

func (s *scrub) run(ctx context.Context) error {
	if s.opts.Repair {
		if err := s.volume.beginChange(ctx); err != nil {
			return err
		}
	}
	kinds, err := s.volume.kinds(ctx)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	parallel := s.opts.Parallel
	if parallel <= 0 {
		parallel = 2
	}
	g.SetLimit(parallel)
	err = s.walk(gctx, kinds, func(name string) {
		o := s.begin(name)
		g.Go(func() error { return s.check(gctx, o) })
	})
	if waitErr := g.Wait(); waitErr != nil {
		return waitErr
	}
	if err == nil {
		s.report.Cursor = ""
	}
	return err
}

// walk calls f for the objects that are due.
func (s *scrub) walk(ctx context.Context, kinds []string, f func(name string)) error {
	after, _, _ := strings.Cut(s.opts.After, "/")
	for _, kind := range kinds {
		if kind < after {
			continue
		}
		for h, err := range s.volume.holdings(ctx, kind) {
			if err != nil {
				return err
			}
			if kind != after || h.name > s.opts.After {
				f(h.name)
			}
		}
	}
	return nil
}

func (s *scrub) begin(name string) *scrubbed {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &scrubbed{name: name}
	s.pending = append(s.pending, o)
	return o
}

func (s *scrub) check(ctx context.Context, o *scrubbed) error {
	m, err := s.volume.mend(ctx, o.name, true, s.opts.Repair, s.limit)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(m)
	if err != nil {
		return err
	}
	s.report.Objects++
	o.done = true
	for len(s.pending) > 0 && s.pending[0].done {
		s.report.Cursor = s.pending[0].name
		s.pending = s.pending[1:]
	}
	if s.opts.Progress != nil {
		s.opts.Progress(ScrubProgress{Objects: s.report.Objects, Bytes: s.report.Bytes, Cursor: s.report.Cursor})
	}
	return nil
}

// add counts what came of an object. The caller holds mu.
func (s *scrub) add(m *mending) {
	r := &s.report
	r.Bytes += m.bytes
	for _, f := range m.findings {
		r.Found++
		if f.Repaired {
			r.Repaired++
		}
		if len(r.Findings) < maxFindings {
			r.Findings = append(r.Findings, f)
		}
	}
	r.Lost = append(r.Lost, m.lost...)
	r.Errs = append(r.Errs, m.errs...)
}
