package cas

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Session is one writer's stay in the store: until Close, garbage collection
// leaves alone every segment it touched and every manifest it committed. A
// caller puts the record that holds a manifest before it closes the session.
type Session struct {
	store *Store

	mu        sync.Mutex
	closed    bool                        // guarded by mu
	touched   map[SegmentID]*segmentState // pinned; guarded by mu
	manifests []ManifestID                // committed, or about to be; guarded by mu
	writers   map[*ImageWriter]struct{}   // not committed; guarded by mu
	lost      int64                       // of the segment table, at the last check; guarded by mu
}

// Begin starts a session. The first of a store waits for its share of the arena:
// the caller must hold none of its buffers. After Close it is ErrClosed.
func (s *Store) Begin(ctx context.Context) (*Session, error) {
	if _, err := s.writable(ctx); err != nil {
		return nil, fmt.Errorf("begin session: %w", err)
	}
	ses := &Session{store: s, lost: s.segments.lost.Load(), touched: make(map[SegmentID]*segmentState), writers: make(map[*ImageWriter]struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("begin session: store: %w", ErrClosed)
	}
	s.sessions[ses] = struct{}{}
	return ses, nil
}

// Close ends the session and drops the images that were not committed. No call
// on them may be under way.
func (ses *Session) Close() error {
	ses.mu.Lock()
	if ses.closed {
		ses.mu.Unlock()
		return nil
	}
	ses.closed = true
	var errs []error
	for w := range ses.writers {
		errs = append(errs, w.abort())
	}
	for _, st := range ses.touched {
		ses.store.segments.unpin(st)
	}
	ses.mu.Unlock()

	s := ses.store
	s.roots.RLock() // garbage collection looks at sessions and records at one moment
	defer s.roots.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, ses)
	return errors.Join(errs...)
}

// committed lists the manifests that the session committed, or is about to.
func (ses *Session) committed() []ManifestID {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	return slices.Clone(ses.manifests)
}

// keep makes a manifest a root of garbage collection until the session closes.
func (ses *Session) keep(id ManifestID) {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	ses.manifests = append(ses.manifests, id)
}

// letGo takes back keep.
func (ses *Session) letGo(ids ...ManifestID) {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	ses.manifests = slices.DeleteFunc(ses.manifests, func(id ManifestID) bool { return slices.Contains(ids, id) })
}

// sealedBytes is the size of all durable segments that the session touched.
func (ses *Session) sealedBytes() int64 {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	var n int64
	for id := range ses.touched {
		size, _ := ses.store.segments.size(id)
		n += size
	}
	return n
}

// touch pins a segment for the session; false when it is gone.
func (ses *Session) touch(id SegmentID) bool {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	if st, ok := ses.touched[id]; ok {
		return ses.store.segments.check(st) == nil
	}
	st, ok := ses.store.segments.pin(id)
	if ok {
		ses.touched[id] = st
	}
	return ok
}

// check returns an error when something that the session touched was lost since
// the last check: its images cannot be committed.
func (ses *Session) check() error {
	table := ses.store.segments
	ses.mu.Lock()
	defer ses.mu.Unlock()
	lost := table.lost.Load()
	if lost == ses.lost {
		return nil
	}
	for _, st := range ses.touched {
		if err := table.check(st); err != nil {
			return err
		}
	}
	ses.lost = lost
	return nil
}

// settle waits until all that the session touched is durable.
func (ses *Session) settle(ctx context.Context) error {
	if err := ses.check(); err != nil {
		return err
	}
	ses.mu.Lock()
	var open []*openSegment
	for _, st := range ses.touched {
		if w := ses.store.segments.writer(st); w != nil {
			open = append(open, w)
		}
	}
	ses.mu.Unlock()
	for _, seg := range open { // all of them end at the same time
		seg.appender.seal(seg)
	}
	for _, seg := range open {
		if err := seg.appender.finish(ctx, seg); err != nil {
			return err
		}
	}
	return ses.check()
}
