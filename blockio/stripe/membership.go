package stripe

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// membership knows which members are in sync: those that hold no object that
// the others have removed. A shard that was away while objects were removed, or
// that was put back from a copy, still holds them; without this knowledge they
// would come back with it.
//
// Each member's identity has a record of the members in sync, numbered by an
// epoch. A record is made in two rounds, before the first change after Open and
// whenever a member misses a removal: the first round writes epoch e to all, the
// second e+1 with floor e, which says that all have e. So a member is in sync
// when the newest record that is present lists it and its own epoch is at least
// the floor of that record: a crash between the rounds leaves nobody behind,
// while whoever missed a whole record is known to lag.
//
// An object that no member in sync holds does not exist. It takes a
// changeQuorum to make a record; geometry.go says why that is enough.
type membership struct {
	mu sync.Mutex
	// All guarded by mu.
	epoch, floor uint64
	inSync       memberSet // and present
	absent       memberSet // in sync by the record, but not present
	recorded     bool      // since Open
}

// init finds out who is in sync.
func (ms *membership) init(members []*member, ids []*identity) {
	var newest identity
	for _, id := range ids {
		if id != nil && id.epoch >= newest.epoch {
			newest = *id
		}
	}
	ms.epoch, ms.floor = newest.epoch, newest.floor
	for i, id := range ids {
		switch {
		case !newest.members.has(i):
		case id == nil && !members[i].adopt:
			ms.absent.add(i)
		case id != nil && id.epoch >= newest.floor:
			ms.inSync.add(i)
		}
		members[i].rebuilding = id == nil || id.rebuilding || !ms.inSync.has(i)
	}
}

// snapshot is the members in sync now.
func (ms *membership) snapshot() memberSet {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	return ms.inSync
}

// beginChange makes sure that the members in sync are on record, before
// anything is created or removed. Empty members join them.
//
// When the record cannot be written, on full disks for one, changes go on
// without one as long as nobody in sync is absent: then nobody is left behind.
func (v *Volume) beginChange(ctx context.Context) error {
	if v.closed.Load() {
		return ErrClosed
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if v.geo.m == 0 {
		return nil
	}
	ms := &v.membership
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if ms.recorded {
		return nil
	}
	want := ms.inSync
	for _, m := range v.members {
		if m.present() && m.adopt {
			want.add(m.index)
		}
	}
	err := v.record(ctx, want)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if ms.absent.count() == 0 && ms.inSync.count() >= v.geo.changeQuorum() {
		v.log.Warn("members are not on record", "reason", err)
		return nil
	}
	return err
}

// record makes the wanted members the members in sync. It does without those
// that cannot take the record. The caller holds membership.mu.
func (v *Volume) record(ctx context.Context, want memberSet) error {
	ms := &v.membership
	var last error
	for {
		if n, need := want.count(), v.geo.changeQuorum(); n < need {
			return errors.Join(fmt.Errorf("record members: %d of %d shards in sync, needs %d: %w",
				n, v.geo.shards(), need, ErrDegraded), last)
		}
		err := v.recordRound(ctx, &want)
		if err == nil {
			ms.floor = ms.epoch
			err = v.recordRound(ctx, &want)
		}
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		last = err
	}
	ms.floor = ms.epoch
	ms.inSync, ms.absent, ms.recorded = want, memberSet{}, true
	for _, m := range v.members {
		if want.has(m.index) {
			m.adopt = false
		}
	}
	return nil
}

// recordRound writes one epoch to all wanted members; those that fail are no
// longer wanted.
func (v *Volume) recordRound(ctx context.Context, want *memberSet) error {
	ms := &v.membership
	ms.epoch++
	id := identity{set: v.set, geo: v.geo, epoch: ms.epoch, floor: ms.floor, members: *want}
	errs := make([]error, len(v.members))
	each(v.members, func(m *member) bool { return want.has(m.index) }, func(m *member) {
		id := id
		id.index, id.rebuilding = m.index, m.rebuilding
		errs[m.index] = m.note(replaceObject(ctx, m.vol, identityName, id.encode()))
	})
	var first error
	for i, err := range errs {
		if err == nil {
			continue
		}
		want.remove(i)
		if first == nil {
			first = err
		}
	}
	return first
}

// exclude leaves members behind that missed a removal.
func (v *Volume) exclude(ctx context.Context, lagging memberSet) error {
	ms := &v.membership
	ms.mu.Lock()
	defer ms.mu.Unlock()
	want := ms.inSync
	for _, m := range v.members {
		if lagging.has(m.index) {
			want.remove(m.index)
			m.rebuilding = true
		}
	}
	if want == ms.inSync {
		return nil
	}
	return v.record(ctx, want)
}

// lagging is the present members that are not in sync, and how many removals
// each has missed so far.
func (v *Volume) lagging() (lagging memberSet, missed []int64) {
	v.membership.mu.Lock()
	defer v.membership.mu.Unlock()
	missed = make([]int64, len(v.members))
	for i, m := range v.members {
		missed[i] = m.missed.Load()
		if m.present() && !m.adopt && !v.membership.inSync.has(i) {
			lagging.add(i)
		}
	}
	return lagging, missed
}

// join takes members back that lag no more, unless they have missed another
// removal since lagging was asked.
func (v *Volume) join(ctx context.Context, joining memberSet, missed []int64) error {
	ms := &v.membership
	ms.mu.Lock()
	defer ms.mu.Unlock()
	want := ms.inSync
	for i, m := range v.members {
		if joining.has(i) && m.missed.Load() == missed[i] {
			want.add(i)
		}
	}
	if want == ms.inSync {
		return nil
	}
	return v.record(ctx, want)
}

// complete records that all members in sync have all objects, but those that
// failed.
func (v *Volume) complete(ctx context.Context, failed memberSet) error {
	ms := &v.membership
	ms.mu.Lock()
	defer ms.mu.Unlock()
	changed := false
	for i, m := range v.members {
		if ms.inSync.has(i) && !failed.has(i) && m.rebuilding {
			m.rebuilding = false
			changed = true
		}
	}
	if !changed || v.geo.m == 0 {
		return nil
	}
	return v.record(ctx, ms.inSync)
}

// recordClose makes one more record at the end: so a shard that is put back from
// a copy made since Open is known to lag too.
func (v *Volume) recordClose(ctx context.Context) error {
	ms := &v.membership
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if !ms.recorded {
		return nil
	}
	return v.record(ctx, ms.inSync)
}
