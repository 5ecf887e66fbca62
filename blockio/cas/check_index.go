package cas

import (
	"context"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// disagreement is what the index has not been seen to have as the directories of
// segments have it: for every ordinal of a segment the check sum of its entry, 0 once
// they agree. Four bytes a chunk let one walk through the database settle all of them,
// when looking up each would go through it at random.
type disagreement map[SegmentID][]uint32

func (d disagreement) add(dir *directory) {
	sums := make([]uint32, len(dir.entries))
	for i, e := range dir.entries {
		sums[i] = entrySum(e)
	}
	d[dir.id] = sums
}

// settle takes out a chunk that is where the index has it.
func (d disagreement) settle(loc location) {
	sums := d[loc.segment]
	if int64(loc.ordinal) < int64(len(sums)) && sums[loc.ordinal] == entrySum(loc.entry) {
		sums[loc.ordinal] = 0
	}
}

// entrySum is a check sum of all that an entry says, never 0.
func entrySum(e entry) uint32 {
	var line [entrySize]byte
	return max(1, uint32(xxhash.Sum64(appendEntry(line[:0], e))))
}

// checkSegments checks the directories, and what the index has of their chunks.
func (s *Store) checkSegments(ctx context.Context, r *CheckReport) error {
	open := make(disagreement)
	for _, st := range s.segments.list() {
		dir, err := s.checkDirectory(ctx, st.id, r)
		if err != nil {
			return err
		}
		if dir != nil {
			r.Segments++
			r.Chunks += int64(len(dir.entries))
			open.add(dir)
		}
	}
	// What the walk cannot read, looking it up tells of.
	_ = s.index.db.locations(ctx, open.settle)
	for id, sums := range open {
		if err := s.checkIndex(ctx, id, sums, r); err != nil {
			return err
		}
	}
	return nil
}

// checkDirectory loads a directory, nil when the segment was removed in the meantime
// or is damaged, which counts.
func (s *Store) checkDirectory(ctx context.Context, id SegmentID, r *CheckReport) (*directory, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dir, err := s.loadDirectory(ctx, id)
	if _, there := s.segments.size(id); !there {
		return nil, nil
	}
	if err != nil {
		r.Segments++
		r.add(err)
	}
	return dir, nil
}

// checkIndex looks up the chunks of a segment on which the index did not agree.
func (s *Store) checkIndex(ctx context.Context, id SegmentID, sums []uint32, r *CheckReport) error {
	if !slices.ContainsFunc(sums, func(sum uint32) bool { return sum != 0 }) {
		return nil
	}
	dir, err := s.loadDirectory(ctx, id)
	if _, there := s.segments.size(id); !there {
		return nil
	}
	if err != nil {
		r.add(err)
		return nil
	}
	for i, e := range dir.entries {
		if sums[i] == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		loc, ok, err := s.index.db.find(e.id)
		switch {
		case err != nil:
			r.add(err)
		case !ok:
			// Garbage, of which a copy was removed: a manifest that names
			// the chunk is a problem already.
		case loc.segment == id && loc.entry != e:
			r.add(fmt.Errorf("chunk %v of segment %v: the index has %+v, the directory %+v", e.id, id, loc.entry, e))
		}
	}
	return nil
}
