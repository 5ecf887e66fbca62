package stripe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/blockmill/blockmill/blockio"
)

// HealOptions are options of Heal; the zero value works.
type HealOptions struct {
	// Rate bounds the bytes read and written a second; zero is no bound.
	Rate int64
	// Progress hears of each object that is done; nil is nobody.
	Progress func(HealProgress)
}

// HealProgress is how far a healing is, of the objects known to need it.
type HealProgress struct {
	Done, Objects int64
}

// HealReport is what came of a healing.
type HealReport struct {
	// Objects needed something, Rebuilt shards were written anew, Removed
	// were of no object.
	Objects, Rebuilt, Removed int64
	// Left are objects that still lack something.
	Left int64
	// Lost are the bytes that cannot be read any more, as far as seen.
	Lost []Range
	// Errs are why something is left.
	Errs []error
}

// Heal brings back full redundancy: it rids members that lag of what was
// removed without them, rebuilds what members lack, the most endangered objects
// first, and checks and repairs what reads and writes have queued. It looks at
// names only, so damage that nobody has met is left for Scrub.
//
// The caller holds no buffer of the arena.
func (v *Volume) Heal(ctx context.Context, opts HealOptions) (HealReport, error) {
	h := healing{volume: v, opts: opts, limit: blockio.NewLimiter(opts.Rate)}
	if err := h.run(ctx); err != nil {
		return h.report, fmt.Errorf("heal: %w", err)
	}
	return h.report, nil
}

type healing struct {
	volume *Volume
	opts   HealOptions
	limit  *blockio.Limiter
	report HealReport

	total  int64
	failed memberSet // members that still lack something
}

func (h *healing) run(ctx context.Context) error {
	v := h.volume
	if err := h.catchUp(ctx); err != nil {
		return err
	}
	if err := v.beginChange(ctx); err != nil {
		return err
	}
	plan, err := v.plan(ctx)
	if err != nil {
		return err
	}
	h.total = int64(len(plan))
	tried := map[string]bool{}
	for _, c := range plan {
		queued := v.queue.has(c.name)
		tried[c.name] = tried[c.name] || queued
		if err := h.repair(ctx, c.name, queued); err != nil {
			return err
		}
	}
	// Rebuilding may have met damage elsewhere.
	for _, name := range v.queue.names() {
		if tried[name] {
			continue
		}
		h.total++
		if err := h.repair(ctx, name, true); err != nil {
			return err
		}
	}
	return v.complete(ctx, h.failed)
}

func (h *healing) repair(ctx context.Context, name string, verify bool) error {
	m, err := h.volume.repairObject(ctx, name, verify, true, h.limit)
	r := &h.report
	r.Objects++
	r.Rebuilt += int64(m.rebuilt.count())
	for _, f := range m.findings {
		if f.Damage == DamageLeftover && f.Repaired {
			r.Removed++
		}
	}
	r.Lost = append(r.Lost, m.lost...)
	r.Errs = append(r.Errs, m.errs...)
	if m.failed != (memberSet{}) || len(m.lost) > 0 {
		r.Left++
	}
	for i := range m.volume.members {
		if m.failed.has(i) {
			h.failed.add(i)
		}
	}
	if err == nil && h.opts.Progress != nil {
		h.opts.Progress(HealProgress{Done: r.Objects, Objects: h.total})
	}
	return err
}

// candidate is an object that may need healing.
type candidate struct {
	name      string
	survivors int // members that seem to have it
}

// plan is all objects that some member lacks or that are queued, the most
// endangered first.
func (v *Volume) plan(ctx context.Context) ([]candidate, error) {
	kinds, err := v.kinds(ctx)
	if err != nil {
		return nil, err
	}
	var takers int
	for _, m := range v.members {
		if m.present() && v.writable(m) {
			takers++
		}
	}
	var plan []candidate
	for _, kind := range kinds {
		for h, err := range v.holdings(ctx, kind) {
			if err != nil {
				return nil, err
			}
			c := candidate{name: h.name, survivors: v.survivors(h)}
			if c.survivors < takers || v.queue.has(h.name) {
				plan = append(plan, c)
			}
		}
	}
	slices.SortFunc(plan, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.survivors, b.survivors), cmp.Compare(a.name, b.name))
	})
	return plan, nil
}

// survivors is how many members seem to have an object whole. One that is queued
// though all have its name is taken to be damaged on one of them.
func (v *Volume) survivors(h holding) int {
	n := h.members.count()
	if n == len(v.members) && v.queue.has(h.name) {
		n--
	}
	return n
}

// catchUp brings members back in sync that lag: what they hold of no object, or
// of an older write, is removed; then they join.
func (h *healing) catchUp(ctx context.Context) error {
	v := h.volume
	lagging, missed := v.lagging()
	if lagging == (memberSet{}) {
		return nil
	}
	all := lagging
	kinds, err := v.kinds(ctx)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		for held, err := range v.holdings(ctx, kind) {
			if err != nil {
				return err
			}
			behind, err := h.behind(ctx, held, lagging)
			if err != nil {
				return err
			}
			for i := range v.members {
				if behind.has(i) {
					lagging.remove(i)
					h.failed.add(i)
				}
			}
		}
	}
	if n := v.membership.snapshot().count(); lagging != all && n < v.geo.m {
		h.report.Errs = append(h.report.Errs, fmt.Errorf(
			"%d shards lag, and the %d in sync cannot tell what those missed; empty them to have them rebuilt: %w",
			all.count(), n, ErrDegraded))
	}
	return v.join(ctx, lagging, missed)
}

// behind rids lagging members of an object that they should not hold, and gives
// those that it could not rid of it.
func (h *healing) behind(ctx context.Context, held holding, lagging memberSet) (left memberSet, err error) {
	v := h.volume
	var suspect memberSet
	for i := range v.members {
		if held.members.has(i) && lagging.has(i) {
			suspect.add(i)
		}
	}
	if suspect == (memberSet{}) {
		return left, nil
	}
	st := v.names.hold(held.name)
	defer st.drop()
	st.Lock()
	defer st.Unlock()
	s := v.survey(ctx, held.name)
	defer func() {
		if closeErr := s.close(nil); err == nil {
			err = closeErr
		}
	}()
	if ctx.Err() != nil {
		return left, context.Cause(ctx)
	}
	gone := errors.Is(s.err, blockio.ErrNotFound) && v.membership.snapshot().count() >= v.geo.m
	for i, m := range v.members {
		if !suspect.has(i) || s.err == nil && s.has(i) {
			continue
		}
		if !gone && s.err != nil {
			left.add(i) // nobody can tell
			continue
		}
		switch err := s.all[i].err; {
		case errors.Is(err, blockio.ErrNotFound):
			continue
		case err != nil && !errors.Is(err, ErrCorrupt):
			left.add(i) // it may be as it should
			continue
		}
		if err := m.note(m.vol.Remove(ctx, held.name)); err != nil {
			h.report.Errs = append(h.report.Errs, err)
			left.add(i)
			continue
		}
		h.report.Removed++
		v.stats.removed.Add(1)
	}
	return left, nil
}
