package cas

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

const (
	// compactBatch is how many segments are emptied before the new ones are
	// sealed and the old ones removed: the space that compaction needs.
	compactBatch = 8
	// compactWorkers empty segments at the same time.
	compactWorkers = 2
)

// compact moves what lives in the given segments to new ones and removes them.
func (c *collection) compact(ctx context.Context, sparse []*segmentState) (err error) {
	if len(sparse) == 0 {
		return nil
	}
	ses, err := c.store.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ses.Close()) }()
	for len(sparse) > 0 && err == nil {
		n := min(compactBatch, len(sparse))
		err = c.compactBatch(ctx, ses, sparse[:n])
		sparse = sparse[n:]
	}
	return err
}

func (c *collection) compactBatch(ctx context.Context, ses *Session, segs []*segmentState) error {
	s := c.store
	emptied, before := make([]bool, len(segs)), ses.sealedBytes()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(compactWorkers)
	for i, st := range segs {
		g.Go(func() (err error) {
			m := mover{collection: c, session: ses, segment: st}
			emptied[i], err = m.run(gctx)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	// The new places are durable and indexed before the old ones go.
	if err := ses.settle(ctx); err != nil {
		return err
	}
	c.stats.ReclaimedBytes -= ses.sealedBytes() - before
	if err := s.index.flush(); err != nil {
		return err
	}
	for i, st := range segs {
		if !emptied[i] {
			continue
		}
		if err := c.removeSegment(ctx, st); err != nil {
			return err
		}
	}
	return nil
}

// mover moves the live chunks of one segment.
type mover struct {
	*collection
	session *Session
	segment *segmentState
	hold    *hold
	scratch []byte
}

// run reports whether the segment was emptied. One that is damaged is left as it
// is: its other chunks are safe there, and Check finds it.
func (m *mover) run(ctx context.Context) (emptied bool, err error) {
	s, id := m.store, m.segment.id
	dir, err := s.loadDirectory(ctx, id)
	if err != nil {
		return false, fmt.Errorf("compact segment %v: %w", id, err)
	}
	if m.opts.Recompress && !m.pays(dir) {
		return false, nil
	}
	obj, err := s.objects.get(ctx, id)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.objects.put(obj)) }()
	if m.hold, err = s.appender.hold(ctx); err != nil {
		return false, err
	}
	defer m.hold.release()
	live := m.usage.segments[id]
	var buf []byte
	for i, e := range dir.entries {
		if !live.live(i) {
			continue
		}
		if int64(cap(buf)) < e.size() {
			buf = make([]byte, e.size())
		}
		moved, err := m.move(ctx, obj, e, buf[:e.size()])
		if damaged(err) {
			s.opts.Logger.Error("a damaged segment was not compacted", "segment", id, "reason", err)
			return false, nil
		}
		if err != nil || !moved {
			return false, err
		}
	}
	return true, nil
}

// pays says whether recompressing a segment can gain much: a quarter of its bytes
// are encoded for speed, or it is sparse anyway.
func (m *mover) pays(dir *directory) bool {
	var fast, all int64
	for i, e := range dir.entries {
		if m.usage.segments[dir.id].live(i) {
			all += e.size()
			if e.codec == S2 || e.codec == deferred {
				fast += e.size()
			}
		}
	}
	return fast*4 > all || m.sparse(m.segment)
}

// move copies one chunk; false when somebody else is storing it anew.
func (m *mover) move(ctx context.Context, obj *openObject, e entry, buf []byte) (bool, error) {
	s, object := m.store, obj.id.object()
	var stored []byte
	err := readChecked(obj, object, buf, int64(e.off), func(p []byte) (err error) {
		stored, err = openRecord(p, object, e)
		return err
	})
	if err != nil {
		return false, err
	}
	if !s.index.pending.claim(e.id, nil) {
		return false, nil
	}
	st, n, err := m.append(ctx, e, stored)
	if err == nil && !m.session.touch(st.id) {
		err = s.segments.check(st)
	}
	if err != nil {
		s.index.pending.settle(e.id, nil)
		return false, err
	}
	s.index.pending.settle(e.id, st)
	atomic.AddInt64(&m.stats.MovedChunks, 1)
	atomic.AddInt64(&m.stats.MovedBytes, int64(n)+recordHeaderSize)
	return true, nil
}

// append appends a chunk's stored bytes, encoded anew if that is wanted and
// makes them shorter.
func (m *mover) append(ctx context.Context, e entry, stored []byte) (*segmentState, int, error) {
	s := m.store
	if !m.opts.Recompress || e.codec == Zstd {
		return m.hold.copy(ctx, e, stored)
	}
	need := int(e.raw) + maxEncoded(int(e.raw))
	if len(m.scratch) < need {
		m.scratch = make([]byte, need)
	}
	raw, enc := m.scratch[:e.raw], m.scratch[e.raw:]
	if err := s.coders.decode(e.codec, raw, stored); err != nil {
		return nil, 0, corrupt(m.segment.id.object(), int64(e.off), "%v chunk %v: %v", e.codec, e.id, err)
	}
	if n, codec := s.coders.encode(Zstd, enc, raw); n < len(stored) || e.codec == deferred {
		e.stored, e.codec = uint32(n), codec
		stored = enc[:n]
	}
	return m.hold.copy(ctx, e, stored)
}
