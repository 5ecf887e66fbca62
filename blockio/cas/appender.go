package cas

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/blockmill/blockmill/blockio"
)

// appender is the open end of the store: it gathers chunk records in lanes,
// writes full lanes into open segments and seals segments. All sessions share
// it, so concurrent commits share a seal.
//
// Progress: a worker waits for a hold, and then for a free buffer. Holds are
// fewer than buffers, lanes at rest are taken before new ones are made, and
// full lanes are written by goroutines that wait for the volume only: so a
// buffer always becomes free.
type appender struct {
	volume blockio.Volume
	store  StoreID
	ids    *idSource
	table  *segmentTable
	coders *coders
	// sealed and failed are called when a segment is durable, or was dropped,
	// before its done is closed.
	sealed, failed func(*openSegment)

	lanes   int             // of a full segment
	slab    *blockio.Buffer // of all buffers
	buffers chan []byte     // free ones
	holds   chan struct{}   // one token for each hold

	ctx    context.Context // of the writes; close ends it
	cancel context.CancelFunc
	work   sync.WaitGroup // seals and writes under way

	// writing counts the full lanes on their way to the volume; keepBusy is how
	// many it can well do with, 0 to encode every chunk. putting counts the
	// workers that cut, hash and store.
	writing  atomic.Int32
	keepBusy int32
	putting  atomic.Int32
	load     *blockio.RunQueue // of the machine, nil when nothing tells
	full     func() bool       // of load; nil without

	tailMu sync.Mutex
	tail   []byte // guarded by tailMu

	mu   sync.Mutex
	open *openSegment              // takes new lanes, or nil; guarded by mu
	idle []*lane                   // partly filled, oldest first; guarded by mu
	all  map[*openSegment]struct{} // not done yet; guarded by mu
}

// manyChunks ends a segment before it has all its bytes, so that a directory always
// takes little memory.
const manyChunks = 16 << 10

// hurried says that encoding is what holds up the work: the volume has too little
// to do, and every processor has a worker that is not waiting for its source, or
// something else, as are those that receive the source, or send it. A
// slow source, or one worker alone, is no reason to hurry.
func (a *appender) hurried() bool {
	if a.writing.Load() >= a.keepBusy {
		return false
	}
	return int(a.putting.Load()) >= blockio.Processors() || a.full != nil && a.full()
}

// take gives the caller a lane: one at rest, or a new one.
func (a *appender) take(ctx context.Context) (*lane, error) {
	if l := a.takeIdle(); l != nil {
		return l, nil
	}
	buf, err := a.buffer(ctx)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open != nil && len(a.open.entries) >= manyChunks {
		a.sealLocked(a.open)
	}
	if a.open == nil {
		seg, err := a.begin()
		if err != nil {
			a.buffers <- buf
			return nil, err
		}
		a.open = seg
	}
	seg := a.open
	seg.begun++
	seg.lanes++
	if seg.begun == a.lanes {
		seg.full = true
		a.open = nil
	}
	clear(buf[:laneStart])
	return &lane{seg: seg, buf: buf, n: laneStart}, nil
}

// buffer waits for a free buffer.
func (a *appender) buffer(ctx context.Context) ([]byte, error) {
	select {
	case buf := <-a.buffers:
		return buf, nil
	default:
	}
	defer pause(ctx)()
	select {
	case buf := <-a.buffers:
		return buf, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// takeIdle returns the oldest lane at rest, or nil. Segments that went bad are
// sealed on the way, which drops them.
func (a *appender) takeIdle() *lane {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.idle) > 0 {
		l := a.idle[0]
		if l.seg.failure() != nil {
			a.sealLocked(l.seg)
			continue
		}
		a.idle = a.idle[1:]
		return l
	}
	return nil
}

// begin makes a new open segment. Mu is held.
func (a *appender) begin() (*openSegment, error) {
	id, err := a.ids.next()
	if err != nil {
		return nil, err
	}
	seg := &openSegment{appender: a, id: id, done: make(chan struct{})}
	seg.state = a.table.addOpen(seg)
	a.all[seg] = struct{}{}
	return seg, nil
}

// putBack takes a lane back from its worker.
func (a *appender) putBack(l *lane) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !l.seg.sealing {
		a.idle = append(a.idle, l)
		return
	}
	l.seg.partial = append(l.seg.partial, l)
	a.left(l.seg)
}

// flush writes a full lane in the background.
func (a *appender) flush(l *lane) {
	a.mu.Lock()
	defer a.mu.Unlock()
	seg := l.seg
	off := seg.next
	seg.next += int64(len(l.buf))
	seg.add(l.entries, off)
	clear(l.free())
	if off == 0 {
		copy(l.buf, segmentHeader(a.store, seg.id))
	}
	seg.writes.Add(1)
	a.writing.Add(1)
	a.work.Go(func() {
		defer seg.writes.Done()
		seg.write(a.ctx, l.buf, off)
		a.writing.Add(-1)
		a.buffers <- l.buf
	})
	a.left(seg)
}

// left notes that a lane left a segment, and seals the segment after the last
// one. Mu is held.
func (a *appender) left(seg *openSegment) {
	seg.lanes--
	if seg.lanes == 0 && (seg.sealing || seg.full) {
		seg.sealing = true
		a.work.Go(func() { seg.seal(a.ctx) })
	}
}

// seal begins the end of a segment, if that has not begun. Workers keep the
// lanes that they hold until they release them.
func (a *appender) seal(seg *openSegment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sealLocked(seg)
}

func (a *appender) sealLocked(seg *openSegment) {
	if seg.sealing {
		return
	}
	seg.sealing = true
	if a.open == seg {
		a.open = nil
	}
	rest := a.idle[:0]
	for _, l := range a.idle {
		if l.seg == seg {
			seg.partial = append(seg.partial, l)
		} else {
			rest = append(rest, l)
		}
	}
	a.idle = rest
	seg.lanes++ // stands for this call until all are counted
	seg.lanes -= len(seg.partial)
	a.left(seg)
}

// finish seals a segment and waits until it is durable.
func (a *appender) finish(ctx context.Context, seg *openSegment) error {
	a.seal(seg)
	select {
	case <-seg.done:
		return seg.failure()
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errDropped = errors.New("segment was dropped with the store's end")

// close drops the segments that no commit asked for. No worker may hold a lane.
func (a *appender) close() {
	a.mu.Lock()
	for seg := range a.all {
		if !seg.sealing {
			seg.fail(errDropped)
		}
	}
	segs := make([]*openSegment, 0, len(a.all))
	for seg := range a.all {
		segs = append(segs, seg)
	}
	a.mu.Unlock()
	for _, seg := range segs {
		a.seal(seg)
	}
	a.work.Wait()
	a.cancel()
	a.slab.Release()
	if a.load != nil {
		_ = a.load.Close() // nothing was written
	}
}

// newAppender makes the appender of a store. It waits for the arena: the caller
// must hold none of its buffers.
func newAppender(ctx context.Context, s *Store) (*appender, error) {
	unit, err := writeUnit(ctx, s)
	if err != nil {
		return nil, err
	}
	opts := s.opts
	size := int(alignUp(int64(max(opts.BufferSize, opts.WriteSize)), int64(unit)))
	slab, err := opts.Arena.Get(ctx, size*opts.Buffers)
	if err != nil {
		return nil, fmt.Errorf("take %d write buffers of %d bytes: %w", opts.Buffers, size, err)
	}
	a := &appender{
		volume: opts.Volume, store: s.header.id, ids: s.ids, table: s.segments, coders: s.coders,
		sealed: s.segmentSealed, failed: s.segmentFailed,
		lanes:   max(1, int(opts.SegmentSize)/size),
		slab:    slab,
		buffers: make(chan []byte, opts.Buffers),
		holds:   make(chan struct{}, (opts.Buffers-1)/2),
		all:     make(map[*openSegment]struct{}),
	}
	if !opts.EncodeAll {
		a.keepBusy = int32(opts.Buffers) * 5 / 8
		if load, err := blockio.OpenRunQueue(); err == nil {
			a.load, a.full = load, load.Full
		}
	}
	a.tail = slab.Bytes()[:size:size]
	for i := 1; i < opts.Buffers; i++ {
		a.buffers <- slab.Bytes()[i*size : (i+1)*size : (i+1)*size]
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	return a, nil
}

// writeUnit asks the volume for the granularity of its writes.
func writeUnit(ctx context.Context, s *Store) (int, error) {
	id, err := s.ids.next()
	if err != nil {
		return 0, err
	}
	w, err := s.opts.Volume.Create(ctx, SegmentID(id).object())
	if err != nil {
		return 0, fmt.Errorf("begin a segment: %w", err)
	}
	return w.Unit(), w.Abort()
}
