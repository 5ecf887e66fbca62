package cas

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
)

// want is a part of a chunk and where it goes: the decoded bytes from skip on
// fill dst.
type want struct {
	location
	dst  []byte
	skip int
}

// maxGap is how many stored bytes between two wanted chunks are read along
// rather than skipped by a second read.
const maxGap = 64 << 10

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
	for _, w := range wants {
		var stored []byte
		check := func(p []byte) (err error) {
			stored, err = openRecord(p, object, w.entry)
			return err
		}
		record := buf[int64(w.off)-start:][:w.size()]
		if err := check(record); err != nil {
			if err := recheck(obj, record, int64(w.off), check, err); err != nil {
				return err
			}
		}
		if err := s.deliver(w, stored); err != nil {
			return corrupt(object, int64(w.off), "%v chunk %v: %v", w.codec, w.id, err)
		}
		s.counters.readChunks.Add(1)
		s.counters.readBytes.Add(int64(len(w.dst)))
	}
	return nil
}

// deliver decodes the stored bytes of a want into its place.
func (s *Store) deliver(w want, stored []byte) error {
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
