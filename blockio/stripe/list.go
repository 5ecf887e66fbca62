package stripe

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/blockio"
)

// listBatch is how many objects List looks at together, listParallel how many
// at a time.
const (
	listBatch    = 64
	listParallel = 8
)

// List implements blockio.Volume. Objects that are lost are left out; Lost tells.
func (v *Volume) List(ctx context.Context, kind string) iter.Seq2[blockio.Entry, error] {
	return func(yield func(blockio.Entry, error) bool) {
		v.losses.begin(kind)
		var batch []holding
		flush := func() bool {
			entries, err := v.entries(ctx, batch)
			batch = batch[:0]
			if err != nil {
				yield(blockio.Entry{}, fmt.Errorf("list %s: %w", kind, err))
				return false
			}
			for _, e := range entries {
				if !yield(e, nil) {
					return false
				}
			}
			return true
		}
		for h, err := range v.holdings(ctx, kind) {
			if err != nil {
				yield(blockio.Entry{}, fmt.Errorf("list %s: %w", kind, err))
				return
			}
			if batch = append(batch, h); len(batch) == listBatch && !flush() {
				return
			}
		}
		flush()
	}
}

// entries are those of the objects that are visible.
func (v *Volume) entries(ctx context.Context, batch []holding) ([]blockio.Entry, error) {
	found := make([]*blockio.Entry, len(batch))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(listParallel)
	for i, h := range batch {
		g.Go(func() error {
			size, err := v.sizeOf(ctx, h)
			switch {
			case err == nil:
				found[i] = &blockio.Entry{Name: h.name, Size: size}
				return nil
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case errors.Is(err, blockio.ErrNotFound):
				return nil // a leftover, or removed meanwhile
			case errors.Is(err, ErrLost):
				v.log.Warn("object is not listed", "object", h.name, "reason", err)
				v.losses.add(h.name, err)
				return nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var entries []blockio.Entry
	for _, e := range found {
		if e != nil {
			entries = append(entries, *e)
		}
	}
	return entries, nil
}

// sizeOf is the size of an object, if it is visible. One trailer is enough when
// k members in sync have the name, since they have nothing that was removed.
func (v *Volume) sizeOf(ctx context.Context, h holding) (int64, error) {
	inSync := v.membership.snapshot()
	synced, first := 0, -1
	for i := range v.members {
		if h.members.has(i) && inSync.has(i) {
			synced++
			if first < 0 {
				first = i
			}
		}
	}
	if synced >= v.geo.k {
		f := v.look(ctx, v.members[first], h.name)
		if f.err == nil {
			return f.trailer.size, f.close()
		}
	}
	o, err := v.open(ctx, h.name)
	if err != nil {
		return 0, err
	}
	return o.Size(), o.Close()
}

// holding says which members have an object of a name, whatever it is.
type holding struct {
	name    string
	members memberSet
	// bytes are of the largest shard.
	bytes int64
}

// holdings merges the lists of the members. Members that cannot list are done
// without, as long as k are left.
func (v *Volume) holdings(ctx context.Context, kind string) iter.Seq2[holding, error] {
	return func(yield func(holding, error) bool) {
		if err := blockio.CheckKind(kind); err != nil {
			yield(holding{}, err)
			return
		}
		if ctx.Err() != nil {
			yield(holding{}, context.Cause(ctx))
			return
		}
		lists := make([]*memberList, 0, len(v.members))
		for _, m := range v.members {
			if m.present() {
				l := newMemberList(m, m.vol.List(ctx, kind))
				defer l.stop()
				lists = append(lists, l)
			}
		}
		for {
			name, errs := firstName(lists)
			if ctx.Err() != nil {
				yield(holding{}, context.Cause(ctx))
				return
			}
			if len(lists)-len(errs) < v.geo.k {
				yield(holding{}, errors.Join(errs...))
				return
			}
			if name == "" {
				return
			}
			if h := takeName(lists, name); !reserved(name) && !yield(h, nil) {
				return
			}
		}
	}
}

// firstName is the first name that any list stands at, "" at the end of all, and
// the errors of the lists that failed.
func firstName(lists []*memberList) (name string, errs []error) {
	for _, l := range lists {
		switch {
		case l.err != nil:
			errs = append(errs, l.err)
		case !l.done && (name == "" || l.head.Name < name):
			name = l.head.Name
		}
	}
	return name, errs
}

// takeName advances the lists that stand at name and says whose they are.
func takeName(lists []*memberList, name string) holding {
	h := holding{name: name}
	for _, l := range lists {
		if l.err == nil && !l.done && l.head.Name == name {
			h.members.add(l.member.index)
			h.bytes = max(h.bytes, l.head.Size)
			l.advance()
		}
	}
	return h
}

// memberList is a member's list of a kind, and where in it we are.
type memberList struct {
	member *member
	next   func() (blockio.Entry, error, bool)
	stop   func()

	head blockio.Entry
	done bool
	err  error
}

func newMemberList(m *member, entries iter.Seq2[blockio.Entry, error]) *memberList {
	l := &memberList{member: m}
	l.next, l.stop = iter.Pull2(entries)
	l.advance()
	return l
}

func (l *memberList) advance() {
	e, err, ok := l.next()
	switch {
	case !ok:
		l.done = true
	case err != nil:
		l.err = l.member.note(err)
	default:
		l.head = e
	}
}

// kinds are all kinds that any member has.
func (v *Volume) kinds(ctx context.Context) ([]string, error) {
	lists := make([][]string, len(v.members))
	errs := make([]error, len(v.members))
	present := 0
	each(v.members, nil, func(m *member) {
		lists[m.index], errs[m.index] = m.vol.Kinds(ctx)
		errs[m.index] = m.note(errs[m.index])
	})
	var all []string
	for i, m := range v.members {
		if m.present() && errs[i] == nil {
			present++
			all = append(all, lists[i]...)
		}
	}
	if present < v.geo.k {
		return nil, errors.Join(errs...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// Kinds implements blockio.KindLister.
func (v *Volume) Kinds(ctx context.Context) ([]string, error) {
	kinds, err := v.kinds(ctx)
	if err != nil {
		return nil, fmt.Errorf("list kinds: %w", err)
	}
	return kinds, nil
}
