package stripe

import (
	"context"
	"errors"

	"github.com/blockmill/blockmill/blockio"
)

// objectRepair is the examination, and the repair, of one object.
type objectRepair struct {
	volume *Volume
	state  *nameState
	limit  *blockio.Limiter
	verify bool // read and check all units
	repair bool

	// What came of it.
	findings []Finding
	lost     []Range
	bytes    int64     // of shards, read
	rebuilt  memberSet // members whose shard was written anew
	failed   memberSet // members whose shard is still missing or wrong
	errs     []error   // why it is
}

// repairObject examines an object. The error is that of the context: what is wrong with
// shards is in the result.
func (v *Volume) repairObject(ctx context.Context, name string, verify, repair bool, limit *blockio.Limiter) (*objectRepair, error) {
	st := v.names.hold(name)
	defer st.drop()
	m := &objectRepair{volume: v, state: st, limit: limit, verify: verify, repair: repair}
	st.Lock()
	removals := st.removals
	st.Unlock()
	s := v.survey(ctx, name)
	if ctx.Err() != nil {
		return m, errors.Join(context.Cause(ctx), s.close(nil))
	}
	if s.err != nil {
		err := s.err
		if closeErr := s.close(nil); closeErr != nil {
			m.errs = append(m.errs, closeErr)
		}
		if errors.Is(err, blockio.ErrNotFound) {
			return m, m.clear(ctx)
		}
		m.unreadable(s, err)
		return m, nil
	}
	o, err := v.objectOf(s)
	if err != nil {
		m.errs = append(m.errs, err)
		return m, nil
	}
	err = m.examine(ctx, o, removals)
	return m, errors.Join(err, o.Close())
}

// unreadable reports an object that is not visible for want of shards.
func (m *objectRepair) unreadable(s *survey, err error) {
	m.errs = append(m.errs, err)
	m.lost = append(m.lost, Range{Object: s.name, Length: -1})
	for i, mem := range m.volume.members {
		if f := s.all[i]; mem.present() && f.err != nil {
			m.failed.add(i)
			m.find(i, -1, f.err)
		}
	}
}

func (m *objectRepair) find(shard int, row int64, err error) {
	m.findings = append(m.findings, Finding{
		Object: m.state.name, Shard: shard, Row: row, Damage: damageOf(err), Err: err,
	})
}

// examine finds what is wrong with a visible object, and repairs it.
func (m *objectRepair) examine(ctx context.Context, o *Object, removals int) error {
	v := m.volume
	var targets, useless memberSet
	for i, mem := range v.members {
		f := o.shard(i)
		if f.err == nil {
			continue
		}
		useless.add(i)
		if mem.present() && v.writable(mem) {
			targets.add(i)
			m.find(i, -1, f.err)
		}
	}
	if m.verify {
		wrong, err := m.check(ctx, o)
		if err != nil {
			return err
		}
		m.weigh(o, useless, wrong)
		for i := range wrong {
			if len(wrong[i]) > 0 {
				targets.add(i)
			}
		}
	}
	if targets == (memberSet{}) {
		v.queue.remove(o.name)
		return nil
	}
	m.failed = targets
	if !m.repair || v.enc == nil {
		return nil
	}
	if !m.verify {
		v.queue.remove(o.name) // what is queued from here on is damage that the rebuilding meets
	}
	if err := m.rebuild(ctx, o, targets, removals); err != nil {
		v.queue.add(o.name)
		return err
	}
	m.settle()
	return nil
}

// settle marks what was repaired.
func (m *objectRepair) settle() {
	for i := range m.findings {
		f := &m.findings[i]
		f.Repaired = m.rebuilt.has(f.Shard) && !m.isLost(f)
	}
	for i := range m.volume.members {
		if m.rebuilt.has(i) {
			m.failed.remove(i)
			m.volume.stats.healed.Add(1)
		}
	}
	queue := &m.volume.queue
	switch {
	case m.failed != (memberSet{}) || len(m.lost) > 0:
		queue.add(m.state.name)
	case m.verify:
		queue.remove(m.state.name)
	}
}

// right says that nothing is wrong, or nothing any more.
func (m *objectRepair) right() bool {
	for i := range m.findings {
		if !m.findings[i].Repaired {
			return false
		}
	}
	return len(m.lost) == 0 && len(m.errs) == 0
}

// isLost says whether a finding is of a row that could not be rebuilt.
func (m *objectRepair) isLost(f *Finding) bool {
	row := m.volume.geo.rowSize()
	for _, r := range m.lost {
		if f.Row >= 0 && r.Offset/row == f.Row {
			return true
		}
	}
	return false
}

// clear removes what members have of an object that does not exist, as far as
// that is safe: from members that are not in sync always, since those in sync
// would have it otherwise; from the others while all members are present and in
// sync, and too few may ever have had it for it to be acknowledged: those that
// have it, cannot tell, or lack objects.
func (m *objectRepair) clear(ctx context.Context) error {
	v := m.volume
	m.state.Lock()
	defer m.state.Unlock()
	s := v.survey(ctx, m.state.name) // once more: nobody changes it now
	err := s.err
	if closeErr := s.close(nil); closeErr != nil {
		m.errs = append(m.errs, closeErr)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !errors.Is(err, blockio.ErrNotFound) {
		return nil // committed meanwhile
	}
	inSync, rebuilding, all := v.footing()
	may := 0
	for i := range v.members {
		if f := s.all[i]; !errors.Is(f.err, blockio.ErrNotFound) || rebuilding.has(i) {
			may++
		}
	}
	never := all && may < v.geo.writeQuorum()
	for i, mem := range v.members {
		f := s.all[i]
		if !mem.present() || f.err != nil && !errors.Is(f.err, ErrCorrupt) {
			continue
		}
		found := Finding{Object: m.state.name, Shard: i, Row: -1, Damage: DamageLeftover, Err: f.err}
		if m.repair && (never || !inSync.has(i) && inSync.count() >= v.geo.m) {
			err := mem.note(mem.vol.Remove(ctx, m.state.name))
			found.Repaired = err == nil
			if err != nil {
				m.errs = append(m.errs, err)
			} else {
				v.stats.removed.Add(1)
			}
		}
		if !found.Repaired {
			m.failed.add(i)
		}
		m.findings = append(m.findings, found)
	}
	if m.failed == (memberSet{}) {
		v.queue.remove(m.state.name)
		return nil
	}
	// It may be an object of which those that are rebuilt lack their part: they
	// are not complete, and so it stays.
	for i := range v.members {
		if rebuilding.has(i) {
			m.failed.add(i)
		}
	}
	return nil
}

// footing is the members in sync, those that may lack objects, and whether all
// are present and in sync.
func (v *Volume) footing() (inSync, rebuilding memberSet, all bool) {
	v.membership.mu.Lock()
	defer v.membership.mu.Unlock()
	all = true
	for i, m := range v.members {
		all = all && m.present() && v.membership.inSync.has(i)
		if m.rebuilding {
			rebuilding.add(i)
		}
	}
	return v.membership.inSync, rebuilding, all
}
