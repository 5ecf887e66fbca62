package stripe

import (
	"context"
	"errors"
	"fmt"

	"github.com/blockmill/blockmill/blockio"
)

// found is what one member has of an object: open and with its trailer, or the
// reason why not.
type found struct {
	obj     blockio.Object
	trailer *trailer
	err     error
}

func (f *found) close() error {
	if f.obj == nil {
		return nil
	}
	err := f.obj.Close()
	f.obj = nil
	return err
}

// key tells writes of one name apart.
type key struct {
	gen  generation
	size int64
}

func (f *found) key() key { return key{f.trailer.gen, f.trailer.size} }

// look opens a member's object and checks that it is what its name says.
func (v *Volume) look(ctx context.Context, m *member, name string) found {
	if !m.present() {
		return found{err: m.wrap(errMissing)}
	}
	obj, err := m.vol.Open(ctx, name)
	if err != nil {
		return found{err: m.note(err)}
	}
	t, err := readTrailer(obj, obj.Size(), name)
	if err == nil {
		err = v.belongs(t, m, name)
	}
	if err != nil {
		if errors.Is(err, ErrCorrupt) {
			err = m.wrap(err)
		} else {
			err = m.note(err)
		}
		return found{err: errors.Join(err, obj.Close())}
	}
	return found{obj: obj, trailer: t}
}

// belongs checks that a trailer is of this stripe, this shard and this name.
func (v *Volume) belongs(t *trailer, m *member, name string) error {
	switch {
	case t.set != v.set || t.geo != v.geo:
		return corrupt(name, 0, "it is of set %s, %d+%d", t.set, t.geo.k, t.geo.m)
	case t.index != m.index:
		return corrupt(name, 0, "it is of shard %d", t.index)
	case t.name != name:
		return corrupt(name, 0, "it is of object %q", t.name)
	}
	return nil
}

// survey is what all members have of an object.
type survey struct {
	name string
	all  []found
	// What the visible object is, where err is nil.
	key  key
	good int // members that have it
	// err is a *LostError, blockio.ErrNotFound, or what kept the members from
	// telling.
	err error
}

// survey asks all members for an object. The caller closes it.
func (v *Volume) survey(ctx context.Context, name string) *survey {
	s := &survey{name: name, all: make([]found, len(v.members))}
	for i, m := range v.members {
		if !m.present() {
			s.all[i] = v.look(ctx, m, name)
		}
	}
	each(v.members, nil, func(m *member) { s.all[m.index] = v.look(ctx, m, name) })
	if ctx.Err() != nil {
		s.err = context.Cause(ctx)
		return s
	}
	s.judge(v.geo, v.membership.snapshot())
	return s
}

// judge decides whether the object is visible: at least k shards of one write
// are there, one of them on a member in sync.
func (s *survey) judge(geo geometry, inSync memberSet) {
	counts := map[key]int{}
	synced := map[key]bool{}
	unknown, failed, known := 0, 0, false
	var errs []error
	for i := range s.all {
		f := &s.all[i]
		switch {
		case f.err == nil:
			counts[f.key()]++
			if inSync.has(i) {
				synced[f.key()] = true
				known = true
			}
			continue
		case errors.Is(f.err, blockio.ErrNotFound) || errors.Is(f.err, blockio.ErrName):
			continue
		case errors.Is(f.err, ErrCorrupt):
			known = known || inSync.has(i)
		case !errors.Is(f.err, errMissing):
			failed++
		}
		unknown++
		errs = append(errs, f.err)
	}
	for k := range synced {
		if counts[k] > s.good {
			s.key, s.good = k, counts[k]
		}
	}
	switch {
	case s.good >= geo.k:
	case known && s.good+unknown >= geo.k:
		s.err = &LostError{Object: s.name, Row: -1, Have: s.good, Need: geo.k, Err: errors.Join(errs...)}
	case failed > 0 && unknown >= geo.k:
		s.err = errors.Join(errs...)
	default:
		s.err = blockio.ErrNotFound
	}
}

// has says whether a member has a shard of the visible object.
func (s *survey) has(i int) bool {
	return s.all[i].err == nil && s.all[i].key() == s.key
}

// close closes what is open, except what keep says.
func (s *survey) close(keep func(i int) bool) error {
	var errs []error
	for i := range s.all {
		if keep == nil || !keep(i) {
			errs = append(errs, s.all[i].close())
		}
	}
	return errors.Join(errs...)
}

// errStale says that a shard is of an older write of the object.
var errStale = errors.New("the shard is of another write of the object")

// object makes an Object of the visible object's shards, which it takes over,
// and queues it for healing when a present member lacks it.
func (v *Volume) objectOf(s *survey) (*Object, error) {
	if err := s.close(s.has); err != nil {
		return nil, errors.Join(err, s.close(nil))
	}
	o := v.newObject(s.name, s.key)
	for i := range s.all {
		f := s.all[i]
		if s.has(i) {
			o.shards[i] = f
			continue
		}
		if f.err == nil {
			f.err = v.members[i].wrap(fmt.Errorf("%w: generation %s, expected %s", errStale, f.trailer.gen, s.key.gen))
		}
		o.shards[i] = found{err: f.err}
		if v.members[i].present() {
			v.suspect(s.name, v.members[i], f.err)
		}
	}
	return o, nil
}
