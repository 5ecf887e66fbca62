package stripe

import (
	"context"
	"errors"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/blockio"
)

// rebuilding writes the shards of some members anew.
type rebuilding struct {
	*objectRepair
	o       *Object
	targets []*target
}

// target is a member whose shard is written anew.
type target struct {
	member *member
	w      blockio.Writer
	sums   []uint64
	// better says that the new shard has something that the present one has
	// not.
	better bool
	err    error
}

// rebuild writes the shards of the target members anew. Their good units are
// taken as they are, the others are rebuilt. The present shard stays until the
// new one takes its place, and for good when not all of it can be rebuilt: what
// cannot be read now may be read later. A shard that is not there gets zeros in
// the place of what cannot be rebuilt, with the checksum lostSum.
func (m *objectRepair) rebuild(ctx context.Context, o *Object, targets memberSet, removals int) error {
	r := &rebuilding{objectRepair: m, o: o}
	for _, mem := range m.volume.members {
		if targets.has(mem.index) {
			r.targets = append(r.targets, &target{member: mem, better: o.shard(mem.index).err != nil})
		}
	}
	defer r.abort()
	if err := r.copy(ctx); err != nil {
		return err
	}
	m.state.Lock()
	defer m.state.Unlock()
	if m.state.removals != removals {
		m.errs = append(m.errs, errRemoved)
		return nil
	}
	r.each(func(t *target) error { return r.commit(ctx, t) })
	for _, t := range r.targets {
		switch {
		case t.err != nil:
			m.errs = append(m.errs, t.err)
		case t.better:
			m.rebuilt.add(t.member.index)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// copy writes the rows of all targets.
func (r *rebuilding) copy(ctx context.Context) error {
	lay := r.o.lay
	slots, err := r.volume.arena.Get(ctx, lay.shards()*lay.unit)
	if err != nil {
		return err
	}
	defer slots.Release()
	r.each(func(t *target) (err error) {
		t.w, err = t.member.vol.Replace(ctx, r.o.name)
		return err
	})
	for row := range lay.rows() {
		if err := r.limit.Wait(ctx, (lay.k+len(r.targets))*lay.unitOf(row)); err != nil {
			return err
		}
		r.copyRow(row, slots.Bytes())
	}
	return nil
}

func (r *rebuilding) copyRow(row int64, slots []byte) {
	var want memberSet
	for _, t := range r.targets {
		want.add(t.member.index)
	}
	c := r.o.newCheckedRow(row, slots)
	err := c.load(want)
	r.bytes += int64(c.good() * c.unit)
	if err != nil {
		if !r.verify { // else the check has reported it
			r.lose(r.o, row, func(i int) bool { return c.units[i] == nil })
		}
		for _, t := range r.targets {
			if t.err == nil && c.units[t.member.index] == nil && !r.o.absent(t.member.index) {
				t.err = t.member.wrap(err) // it stays as it is
			}
		}
	}
	r.each(func(t *target) error {
		i := t.member.index
		unit := c.units[i]
		if unit == nil {
			unit = c.slot(i)
			clear(unit)
			t.sums = append(t.sums, lostSum(len(unit)))
		} else {
			t.better = t.better || c.spoilt[i] != nil
			t.sums = append(t.sums, xxhash.Sum64(unit))
		}
		_, err := t.w.WriteAt(unit, row*int64(r.o.lay.unit))
		return err
	})
}

// commit puts the new shard in the place of the present one.
func (r *rebuilding) commit(ctx context.Context, t *target) error {
	if !t.better {
		return nil
	}
	tr := trailer{
		set: r.volume.set, gen: r.o.key.gen, geo: r.volume.geo, size: r.o.key.size,
		index: t.member.index, name: r.o.name, sums: t.sums,
	}
	p := tr.encode()
	at := r.o.lay.shardBytes()
	if _, err := t.w.WriteAt(p, at); err != nil {
		return err
	}
	return t.w.Commit(ctx, at+int64(len(p)))
}

// each calls f for all targets that are well, at once.
func (r *rebuilding) each(f func(t *target) error) {
	var g errgroup.Group
	for _, t := range r.targets {
		if t.err == nil {
			g.Go(func() error {
				t.err = t.member.note(f(t))
				return nil
			})
		}
	}
	_ = g.Wait() // always nil: the errors are in the targets
}

// abort drops what was not committed.
func (r *rebuilding) abort() {
	var errs []error
	for _, t := range r.targets {
		if t.w != nil {
			errs = append(errs, t.member.wrap(t.w.Abort()))
		}
	}
	if err := errors.Join(errs...); err != nil {
		r.errs = append(r.errs, err)
	}
}
