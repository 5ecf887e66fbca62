package stripe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/blockio"
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
	// Again are objects up to After that are looked at nevertheless: the Left
	// of the earlier scrub.
	Again []string
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
	// Left are the first maxLeft objects up to Cursor with something wrong
	// that was not repaired.
	Left []string
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
	// Left are the first maxLeft objects up to Cursor, or of all, with
	// something wrong that was not repaired.
	Left []string
}

// Clean says that nothing is wrong, or nothing any more.
func (r *ScrubReport) Clean() bool {
	return r.Found == r.Repaired && len(r.Lost) == 0 && len(r.Errs) == 0
}

// What bounds the report.
const (
	maxFindings = 1 << 17
	maxLeft     = 1 << 12
)

// Scrub reads every unit of every shard in the order of the objects' names,
// checks it, and reports what is wrong. When it is cancelled, the report is of
// what was done. The caller holds no buffer of the arena.
func (v *Volume) Scrub(ctx context.Context, opts ScrubOptions) (ScrubReport, error) {
	s := scrub{volume: v, opts: opts, limit: blockio.NewLimiter(opts.Rate)}
	if err := s.run(ctx); err != nil {
		return s.report, fmt.Errorf("scrub: %w", err)
	}
	return s.report, nil
}

type scrub struct {
	volume *Volume
	opts   ScrubOptions
	limit  *blockio.Limiter

	mu      sync.Mutex
	report  ScrubReport // guarded by mu
	pending []*scrubbed // begun, in their order; guarded by mu
}

// scrubbed is an object that is being checked.
type scrubbed struct {
	name  string
	again bool // it is up to ScrubOptions.After
	done  bool
	right bool // nothing is wrong, or nothing any more
}

func (s *scrub) run(ctx context.Context) error {
	if s.opts.Repair {
		if err := s.volume.beginChange(ctx); err != nil {
			return err
		}
	}
	s.report.Cursor = s.opts.After
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
	err = s.walk(gctx, kinds, func(name string, again bool) {
		o := s.begin(name, again)
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

// walk calls f for the objects that are due, and says which of them are due
// again.
func (s *scrub) walk(ctx context.Context, kinds []string, f func(name string, again bool)) error {
	after, _, _ := strings.Cut(s.opts.After, "/")
	again := map[string]bool{}
	for _, name := range s.opts.Again {
		again[name] = true
	}
	for _, kind := range kinds {
		if kind < after && len(again) == 0 {
			continue
		}
		for h, err := range s.volume.holdings(ctx, kind) {
			if err != nil {
				return err
			}
			next := kind > after || kind == after && h.name > s.opts.After
			if next || again[h.name] {
				f(h.name, !next)
			}
		}
	}
	return nil
}

func (s *scrub) begin(name string, again bool) *scrubbed {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &scrubbed{name: name, again: again}
	s.pending = append(s.pending, o)
	return o
}

func (s *scrub) check(ctx context.Context, o *scrubbed) error {
	m, err := s.volume.repairObject(ctx, o.name, true, s.opts.Repair, s.limit)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(m)
	if err != nil {
		return err
	}
	s.report.Objects++
	o.done, o.right = true, m.right()
	s.advance()
	if s.opts.Progress != nil {
		s.opts.Progress(ScrubProgress{
			Objects: s.report.Objects, Bytes: s.report.Bytes, Cursor: s.report.Cursor, Left: slices.Clone(s.report.Left),
		})
	}
	return nil
}

// advance moves the cursor over the objects that are done. The caller holds mu.
func (s *scrub) advance() {
	r := &s.report
	for len(s.pending) > 0 && s.pending[0].done {
		o := s.pending[0]
		s.pending = s.pending[1:]
		if !o.again {
			r.Cursor = o.name
		}
		if !o.right && len(r.Left) < maxLeft {
			r.Left = append(r.Left, o.name)
		}
	}
}

// add counts what came of an object. The caller holds mu.
func (s *scrub) add(m *objectRepair) {
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
