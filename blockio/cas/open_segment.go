package cas

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/blockmill/blockmill/blockio"
	"github.com/cespare/xxhash/v2"
)

// openSegment is a segment that is being written. After its first error it
// takes no more bytes, and is dropped when it is sealed.
type openSegment struct {
	appender *appender
	id       SegmentID
	state    *segmentState
	writes   sync.WaitGroup // of full lanes
	done     chan struct{}  // closed when durable or dropped

	// Guarded by the appender's mutex until sealing begins, then the seal's
	// own.
	begun   int  // lanes ever
	lanes   int  // lanes with workers or at rest
	full    bool // has all its lanes
	sealing bool
	partial []*lane // what sealing found partly filled
	next    int64   // where the next full lane goes
	entries []entry
	raw     int64
	size    int64 // of the object, once durable

	directory *directory // made when the segment is durable

	mu  sync.Mutex
	w   blockio.Writer // made for the first write; guarded by mu
	err error          // guarded by mu
}

// add places the entries of a lane that goes to off.
func (s *openSegment) add(entries []entry, off int64) {
	for _, e := range entries {
		e.off += uint32(off)
		s.raw += int64(e.raw)
		s.entries = append(s.entries, e)
	}
}

func (s *openSegment) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *openSegment) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = fmt.Errorf("write segment %v: %w", s.id, err)
	}
}

// writer returns the volume's writer, nil after a failure. A segment whose first
// write is a whole lane is likely to fill up.
func (s *openSegment) writer(ctx context.Context, first int) blockio.Writer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w == nil && s.err == nil {
		var err error
		if s.w, err = s.appender.volume.Create(ctx, s.id.object()); err != nil {
			s.err = fmt.Errorf("begin segment %v: %w", s.id, err)
			return nil
		}
		if a := s.appender; first == len(a.tail) {
			blockio.Reserve(s.w, int64(a.lanes*first))
		}
	}
	if s.err != nil {
		return nil
	}
	return s.w
}

func (s *openSegment) write(ctx context.Context, p []byte, off int64) {
	w := s.writer(ctx, len(p))
	if w == nil {
		return
	}
	if _, err := w.WriteAt(p, off); err != nil {
		s.fail(err)
	}
}

// seal writes the rest of the segment and makes it durable, or drops it.
func (s *openSegment) seal(ctx context.Context) {
	defer close(s.done)
	s.writes.Wait()
	a := s.appender
	a.mu.Lock()
	delete(a.all, s)
	a.mu.Unlock()

	size := s.writeTail(ctx)
	for _, l := range s.partial {
		a.buffers <- l.buf
	}
	s.partial = nil
	w := s.w // nothing else uses it any more
	if err := s.failure(); err == nil && size > 0 {
		if err := w.Commit(ctx, size); err != nil {
			s.fail(err)
		}
	}
	if s.failure() != nil || size == 0 {
		if w != nil {
			_ = w.Abort() // what it could not remove is the volume's to clean up
		}
		a.table.drop(s.state, s.failure())
		a.failed(s)
		return
	}
	s.size = size
	a.sealed(s)
}

// writeTail writes the partly filled lanes, the directory and the footer, and
// returns the length of the segment, 0 for one without chunks.
func (s *openSegment) writeTail(ctx context.Context) int64 {
	a := s.appender
	a.tailMu.Lock()
	defer a.tailMu.Unlock()
	t := tailWriter{seg: s, ctx: ctx, buf: a.tail, off: s.next}
	if s.next == 0 {
		t.write(segmentHeader(a.store, s.id))
	}
	for _, l := range s.partial {
		for _, e := range l.entries {
			e.off -= laneStart // count from the first record
			s.add([]entry{e}, t.pos())
		}
		t.write(l.buf[laneStart:l.n])
	}
	if len(s.entries) == 0 {
		return 0
	}
	slices.SortFunc(s.entries, func(a, b entry) int { return cmp.Compare(a.off, b.off) })
	return t.finish()
}

// tailWriter writes the end of a segment through one buffer.
type tailWriter struct {
	seg *openSegment
	ctx context.Context
	buf []byte
	n   int   // bytes in buf
	off int64 // of buf in the segment
}

func (t *tailWriter) pos() int64 { return t.off + int64(t.n) }

func (t *tailWriter) write(p []byte) {
	for len(p) > 0 {
		n := copy(t.buf[t.n:], p)
		t.n += n
		p = p[n:]
		if t.n == len(t.buf) {
			t.flush()
		}
	}
}

func (t *tailWriter) flush() {
	if t.n > 0 {
		t.seg.write(t.ctx, t.buf[:t.n], t.off)
	}
	t.off += int64(t.n)
	t.n = 0
}

// finish writes the directory and the footer, which ends the object at a
// multiple of objectAlign.
func (t *tailWriter) finish() int64 {
	s := t.seg
	f := segmentFooter{
		store: s.appender.store, id: s.id, count: uint32(len(s.entries)),
		dirOff: t.pos(), rawBytes: s.raw,
	}
	sum := xxhash.New()
	var line []byte
	for _, e := range s.entries {
		line = appendEntry(line[:0], e)
		_, _ = sum.Write(line) // a hash never fails
		t.write(line)
	}
	f.dirSum = sum.Sum64()
	f.size = alignUp(t.pos()+segmentFooterSize, objectAlign)
	t.write(make([]byte, f.size-segmentFooterSize-t.pos()))
	t.write(f.encode())
	t.flush()
	return f.size
}
