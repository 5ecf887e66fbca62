package cas

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/xxh64"
)

// want is a part of a chunk and where it goes: the decoded bytes from skip on
// fill dst.
type want struct {
	location
	dst  []byte
	skip int
	at   int64 // of the chunk in the image, for errors
	// claimed says that the chunk is to be cached, and the claim not settled.
	claimed bool
}

// maxGap is how many stored bytes between two wanted chunks are read along
// rather than skipped by a second read.
const maxGap = 64 << 10

// errMoved says that a segment was compacted away between the look at the index
// and the read.
var errMoved = errors.New("the segment was compacted away")

// fetch fills all wants. It reads neighbouring records in one go, each segment
// from its beginning to its end.
func (s *Store) fetch(ctx context.Context, reads *readBuffers, wants []want) error {
	slices.SortFunc(wants, func(a, b want) int {
		return cmp.Or(bytes.Compare(a.segment[:], b.segment[:]), cmp.Compare(a.off, b.off))
	})
	for len(wants) > 0 {
		n := s.run(wants)
		if err := s.fetchRun(ctx, reads, wants[:n]); err != nil {
			return err
		}
		wants = wants[n:]
	}
	return nil
}

// run says how many of the wants, from the first on, one read serves.
func (s *Store) run(wants []want) int {
	first, start := wants[0], int64(wants[0].off)/objectAlign*objectAlign
	end := first.end()
	for i, w := range wants[1:] {
		next := max(end, w.end())
		if w.segment != first.segment || int64(w.off)-end > maxGap || alignUp(next, objectAlign)-start > int64(s.opts.BufferSize) {
			return i + 1
		}
		end = next
	}
	return len(wants)
}

// fetchRun serves wants of one segment, in the order of their offsets, by one
// read.
func (s *Store) fetchRun(ctx context.Context, reads *readBuffers, wants []want) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	obj, err := s.objects.get(ctx, wants[0].segment)
	if err != nil {
		if errors.Is(err, blockio.ErrNotFound) && !s.segments.exists(wants[0].segment) {
			err = fmt.Errorf("%w: %w", errMoved, err)
		}
		return err
	}
	defer func() { err = errors.Join(err, s.objects.put(obj)) }()
	buf := reads.get()
	defer reads.put(buf)

	object := obj.id.object()
	start := int64(wants[0].off) / objectAlign * objectAlign
	end := start
	for _, w := range wants {
		end = max(end, w.end())
	}
	n := min(alignUp(end, objectAlign), obj.Size()) - start
	if end > obj.Size() || n > int64(len(buf)) {
		return corrupt(object, int64(wants[0].off), "records up to %d in a segment of %d bytes", end, obj.Size())
	}
	if err := readFull(obj, object, buf[:n], start); err != nil {
		return err
	}
	for len(wants) > 0 {
		n := min(xxh64.Lanes(), len(wants))
		if err := s.openRecords(obj, buf, start, wants[:n]); err != nil {
			return err
		}
		wants = wants[n:]
	}
	return nil
}

// openRecords serves a few wants of one segment, at most xxh64.Lanes, whose records
// are in buf: bytes of the object from start on.
func (s *Store) openRecords(obj *openObject, buf []byte, start int64, wants []want) error {
	var records [xxh64.MaxLanes][]byte
	var summed [xxh64.MaxLanes][]byte
	var sums [xxh64.MaxLanes]uint64
	for i, w := range wants {
		records[i] = buf[int64(w.off)-start:][:w.size()]
		summed[i] = w.summed(records[i])
	}
	xxh64.SumMany(sums[:], summed[:len(wants)])
	object := obj.id.object()
	for i := range wants {
		w := &wants[i]
		stored, err := openSummed(records[i], object, w.entry, sums[i])
		if err != nil {
			err = recheck(obj, records[i], int64(w.off), func(p []byte) (err error) {
				stored, err = openRecord(p, object, w.entry)
				return err
			}, err)
		}
		if err != nil {
			return err
		}
		if err := s.deliver(w, stored); err != nil {
			return corrupt(object, int64(w.off), "%v chunk %v: %v", w.codec, w.id, err)
		}
		s.counters.readChunks.Add(1)
		s.counters.readBytes.Add(int64(len(w.dst)))
		blockio.Yield()
	}
	return nil
}

// deliver decodes the stored bytes of a want into its place, by way of the cache
// if the want has a claim there.
func (s *Store) deliver(w *want, stored []byte) error {
	if w.claimed {
		if buf := s.chunks.memory(w.id, int(w.raw)); buf != nil {
			return s.deliverCached(w, stored, buf)
		}
	}
	if w.skip == 0 && len(w.dst) == int(w.raw) {
		return s.coders.decode(w.codec, w.dst, stored)
	}
	scratch := s.scratch.Get().(*[]byte)
	defer s.scratch.Put(scratch)
	if cap(*scratch) < int(w.raw) {
		*scratch = make([]byte, w.raw)
	}
	whole := (*scratch)[:w.raw]
	if err := s.coders.decode(w.codec, whole, stored); err != nil {
		return err
	}
	copy(w.dst, whole[w.skip:])
	return nil
}

func (s *Store) deliverCached(w *want, stored []byte, buf *blockio.Buffer) error {
	if err := s.coders.decode(w.codec, buf.Bytes(), stored); err != nil {
		buf.Release()
		return err
	}
	copy(w.dst, buf.Bytes()[w.skip:])
	s.chunks.settle(w.id, buf)
	w.claimed = false
	return nil
}
