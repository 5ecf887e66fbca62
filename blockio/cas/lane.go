package cas

import (
	"context"
	"encoding/binary"

	"github.com/blockmill/blockmill/blockio/xxh64"
)

// lane is a buffer of chunk records on its way into a segment. One worker at a
// time holds it, so that filling it takes no lock and the chunks of a window
// stay together; its place in the segment is decided when it is written.
type lane struct {
	seg     *openSegment
	buf     []byte  // one of the appender's buffers
	n       int     // bytes used
	entries []entry // offsets count from the buffer's start
	sealed  int     // entries whose records have their checksum

	parts [xxh64.MaxLanes][]byte // scratch of seal
}

// laneStart is where records begin in every lane: whichever is written first
// carries the segment's header there.
const laneStart = segmentHeaderSize

func (l *lane) free() []byte { return l.buf[l.n:] }

// put adds a record whose stored bytes lie at their place already.
func (l *lane) put(e entry) {
	e.off = uint32(l.n)
	putRecordHeader(l.free(), e)
	l.n += int(e.size())
	l.entries = append(l.entries, e)
	if len(l.entries)-l.sealed == xxh64.Lanes() {
		l.seal()
	}
}

// seal gives the records that have none yet their checksums, which are made faster
// of several at a time.
func (l *lane) seal() {
	var sums [xxh64.MaxLanes]uint64
	entries := l.entries[l.sealed:]
	for i, e := range entries {
		l.parts[i] = e.summed(l.buf[e.off:])
	}
	xxh64.SumMany(sums[:], l.parts[:len(entries)])
	for i, e := range entries {
		binary.LittleEndian.PutUint64(l.buf[e.off:], sums[i])
	}
	l.sealed = len(l.entries)
}

// hold is a worker's use of the appender: at most one lane, given back by
// release. It must not be held while waiting for other workers' chunks.
type hold struct {
	a    *appender
	lane *lane
}

// hold waits while there are as many as may be. Whoever has one is never made to wait
// for another's.
func (a *appender) hold(ctx context.Context) (*hold, error) {
	select {
	case a.holds <- struct{}{}:
		return &hold{a: a}, nil
	default:
	}
	defer pause(ctx)()
	select {
	case a.holds <- struct{}{}:
		return &hold{a: a}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (h *hold) release() {
	if h.lane != nil {
		h.lane.seal()
		h.a.putBack(h.lane)
	}
	<-h.a.holds
}

// encode appends a chunk, encoded by codec where that gains, and returns the
// segment and the length of the stored bytes.
func (h *hold) encode(ctx context.Context, id chunkID, raw []byte, codec Codec, scratch []byte) (*segmentState, int, error) {
	if err := h.ensure(ctx); err != nil {
		return nil, 0, err
	}
	if h.a.hurried() {
		codec = deferred
	}
	e := entry{id: id, raw: uint32(len(raw))}
	// In place when it must fit, else through the scratch buffer.
	if room := len(h.lane.free()) - recordHeaderSize; room >= maxEncoded(len(raw)) {
		n, c := h.a.coders.encode(codec, h.lane.free()[recordHeaderSize:], raw)
		e.stored, e.codec = uint32(n), c
		h.lane.put(e)
		return h.lane.seg.state, n, nil
	}
	n, c := h.a.coders.encode(codec, scratch, raw)
	e.stored, e.codec = uint32(n), c
	return h.copy(ctx, e, scratch[:n])
}

// copy appends a chunk that is encoded already.
func (h *hold) copy(ctx context.Context, e entry, stored []byte) (*segmentState, int, error) {
	if err := h.ensure(ctx); err != nil {
		return nil, 0, err
	}
	for int64(len(h.lane.free())) < e.size() { // a lane that was at rest may be full too
		full := h.lane
		h.lane = nil
		full.seal()
		h.a.flush(full)
		if err := h.ensure(ctx); err != nil {
			return nil, 0, err
		}
	}
	copy(h.lane.free()[recordHeaderSize:], stored)
	h.lane.put(e)
	return h.lane.seg.state, len(stored), nil
}

func (h *hold) ensure(ctx context.Context) (err error) {
	if h.lane == nil {
		h.lane, err = h.a.take(ctx)
	}
	return err
}
