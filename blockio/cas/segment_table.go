package cas

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// segmentState is what the store knows of a segment that exists, or is being
// written. All but the immutable fields are guarded by the table's mutex.
type segmentState struct {
	id SegmentID

	size int64 // of the object; 0 while it is being written
	pins int   // sessions that touched it
	// epoch is the table's epoch when the segment was made, pinned or
	// unpinned last. Garbage collection leaves alone what was touched since
	// it began to look.
	epoch uint64
	// open is the writer's side while the segment is being written, else nil.
	open *openSegment
	// gone says that the segment is being removed, or was never completed,
	// err why: its chunks are unknown.
	gone bool
	err  error
}

// segmentTable lists the segments of a store.
type segmentTable struct {
	mu    sync.Mutex
	byID  map[SegmentID]*segmentState // guarded by mu
	epoch uint64                      // guarded by mu
	lost  atomic.Int64                // segments that were dropped
}

func newSegmentTable() *segmentTable {
	return &segmentTable{byID: make(map[SegmentID]*segmentState)}
}

// addSealed adds a segment that the volume has.
func (t *segmentTable) addSealed(id SegmentID, size int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byID[id] = &segmentState{id: id, size: size}
}

// addOpen adds a segment that is being written.
func (t *segmentTable) addOpen(seg *openSegment) *segmentState {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := &segmentState{id: seg.id, open: seg, epoch: t.epoch}
	t.byID[seg.id] = st
	return st
}

// sealed marks a segment durable.
func (t *segmentTable) sealed(st *segmentState, size int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	st.size, st.open = size, nil
}

// drop forgets a segment that could not be written.
func (t *segmentTable) drop(st *segmentState, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	st.gone, st.err = true, err
	delete(t.byID, st.id)
	t.lost.Add(1)
}

// remove forgets a segment that was removed from the volume.
func (t *segmentTable) remove(st *segmentState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	st.gone = true
	delete(t.byID, st.id)
}

// check returns why a segment is gone, nil when it is not.
func (t *segmentTable) check(st *segmentState) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if st.gone {
		return fmt.Errorf("segment %v was dropped: %w", st.id, st.err)
	}
	return nil
}

// pin keeps a segment from being removed; false when it is gone already.
func (t *segmentTable) pin(id SegmentID) (*segmentState, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	st, ok := t.byID[id]
	if !ok || st.gone {
		return nil, false
	}
	st.pins++
	st.epoch = t.epoch
	return st, true
}

func (t *segmentTable) unpin(st *segmentState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	st.pins--
	st.epoch = t.epoch
}

// writer returns the writer's side of a segment that is not durable yet, else
// nil.
func (t *segmentTable) writer(st *segmentState) *openSegment {
	t.mu.Lock()
	defer t.mu.Unlock()
	return st.open
}

// size returns the length of a sealed segment; false when there is none.
func (t *segmentTable) size(id SegmentID) (int64, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	st, ok := t.byID[id]
	if !ok || st.open != nil {
		return 0, false
	}
	return st.size, true
}

// exists says whether there is a sealed segment that is not being removed.
func (t *segmentTable) exists(id SegmentID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	st, ok := t.byID[id]
	return ok && st.open == nil && !st.gone
}

// nextEpoch begins a new epoch and returns it.
func (t *segmentTable) nextEpoch() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.epoch++
	return t.epoch
}

// quiet says whether a sealed segment has not been touched since the epoch
// began.
func (t *segmentTable) quiet(st *segmentState, epoch uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.quietLocked(st, epoch)
}

func (t *segmentTable) quietLocked(st *segmentState, epoch uint64) bool {
	return st.open == nil && !st.gone && st.pins == 0 && st.epoch < epoch
}

// doom makes a quiet segment unknown to sessions; false when it is not quiet.
func (t *segmentTable) doom(st *segmentState, epoch uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.quietLocked(st, epoch) {
		return false
	}
	st.gone = true
	return true
}

// list returns the sealed segments in no order.
func (t *segmentTable) list() []*segmentState {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*segmentState, 0, len(t.byID))
	for _, st := range t.byID {
		if st.open == nil && !st.gone {
			all = append(all, st)
		}
	}
	return all
}
