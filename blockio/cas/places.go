package cas

import "context"

// places tells where the database has a chunk that was found: in another segment,
// maybe, when a cached directory gave a copy. Copies come from segments that were
// touched while their chunks were moved out of them, and from collections that were
// cut short; a segment without any is told by its count, so that the database is
// asked for chunks of the others only.
type places struct {
	index *index
	// counts says how many chunks of each segment are found there.
	counts map[SegmentID]int
	// sole says whether all chunks of a segment are found there.
	sole map[SegmentID]bool
}

// places looks through the database.
func (x *index) places(ctx context.Context) (*places, error) {
	counts, err := x.db.counts(ctx)
	return &places{index: x, counts: counts, sole: make(map[SegmentID]bool)}, err
}

// certain is where the database has a chunk that was found; where it was found, as
// long as the database has it nowhere.
func (p *places) certain(ctx context.Context, found location) (location, error) {
	sole, ok := p.sole[found.segment]
	if !ok {
		dir, err := p.index.directory(ctx, found.segment)
		sole = err == nil && len(dir.entries) == p.counts[found.segment]
		p.sole[found.segment] = sole
	}
	if sole {
		return found, nil
	}
	loc, ok, err := p.index.db.find(found.id)
	if err != nil || !ok || !p.index.exists(loc.segment) {
		return found, err
	}
	return loc, nil
}

// directory returns a segment's directory from memory or the volume.
func (x *index) directory(ctx context.Context, id SegmentID) (*directory, error) {
	if dir, ok := x.dirs.get(id); ok {
		return dir, nil
	}
	return x.load(ctx, id)
}
