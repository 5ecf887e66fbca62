package cas

import (
	"context"
	"errors"
	"fmt"

	"github.com/blockmill/blockmill/blockio"
)

// GCOptions say how thorough a garbage collection is; the zero value works.
type GCOptions struct {
	// Sparse is the share of a segment's bytes below which what lives in it
	// is moved to a new one; by default 0.6. Negative moves nothing.
	Sparse float64
	// Recompress moves the chunks of segments that are not compressed well to
	// new ones, with zstd.
	Recompress bool
}

// GCStats say what a garbage collection did.
type GCStats struct {
	// Manifests and Segments were removed.
	Manifests, Segments int64
	// MovedChunks were moved out of segments that were then removed, MovedBytes
	// are what they take now.
	MovedChunks, MovedBytes int64
	// ReclaimedBytes are the sizes of what was removed, less those of the
	// segments that took the moved chunks. Recompression that gains nothing can
	// make it negative.
	ReclaimedBytes int64
}

// GC removes the manifests that no record lists and no session or open image
// uses, and the chunks that no manifest names. It may run beside everything else;
// a second one waits for the first. When it is cancelled or fails, what it did so
// far stays done, and nothing that lives is lost.
//
// Mark: with roots held, so that no record or session comes or goes, it sorts
// manifests into live and dead. Sweep: it removes dead manifests first, so that no
// manifest ever names a missing chunk, and then segments, unless a session touched
// them since the mark began: sessions find dead chunks too, and bring them back
// to life.
func (s *Store) GC(ctx context.Context, opts GCOptions) (GCStats, error) {
	if opts.Sparse == 0 {
		opts.Sparse = 0.6
	}
	c := &collection{store: s, opts: opts}
	select {
	case s.collecting <- struct{}{}:
	case <-ctx.Done():
		return c.stats, fmt.Errorf("collect garbage: %w", ctx.Err())
	}
	defer func() { <-s.collecting }()
	err := c.run(ctx)
	s.counters.collected(c.stats, err)
	if err != nil {
		return c.stats, fmt.Errorf("collect garbage: %w", err)
	}
	return c.stats, nil
}

// collection is one run of GC.
type collection struct {
	store *Store
	opts  GCOptions
	stats GCStats
	// epoch began before the roots were gathered.
	epoch uint64
	usage *usage
}

func (c *collection) run(ctx context.Context) error {
	s := c.store
	c.epoch = s.segments.nextEpoch()
	live, dead, err := c.gather(ctx)
	if err != nil {
		return err
	}
	defer s.pardon(dead)
	if err := s.index.flush(); err != nil {
		return err
	}
	if err := c.mark(ctx, live); err != nil {
		return err
	}
	for _, id := range dead {
		if err := c.removeManifest(ctx, id); err != nil {
			return err
		}
	}
	sparse, err := c.sweep(ctx)
	if err != nil {
		return err
	}
	return c.compact(ctx, sparse)
}

// mark gathers the usage of manifests. A chunk that the index does not know is an
// error: nothing can be said of what may be removed then.
func (c *collection) mark(ctx context.Context, ids []ManifestID) error {
	// What removal forgets is what the database has: a directory in memory may
	// have a copy that it has not, of a chunk that was moved.
	places, err := c.store.index.places(ctx)
	if err != nil {
		return err
	}
	c.usage = newUsage()
	for _, id := range ids {
		err := c.store.eachChunk(ctx, id, func(_ *manifest, _ chunk, loc location) (err error) {
			if !c.usage.segments[loc.segment].live(int(loc.ordinal)) {
				if loc, err = places.certain(ctx, loc); err != nil {
					return err
				}
			}
			c.usage.mark(loc)
			return nil
		}, new(ImageStat))
		if err != nil {
			return fmt.Errorf("mark manifest %v: %w", id, err)
		}
	}
	return nil
}

// sweep removes the segments without a live chunk, and returns those worth
// emptying.
func (c *collection) sweep(ctx context.Context) (sparse []*segmentState, err error) {
	s := c.store
	var small []*segmentState
	for _, st := range s.segments.list() {
		switch {
		case !s.segments.quiet(st, c.epoch):
		case c.usage.segments[st.id] == nil:
			if err := c.removeSegment(ctx, st); err != nil {
				return nil, err
			}
		case c.opts.Sparse < 0:
		case c.sparse(st) || c.opts.Recompress:
			sparse = append(sparse, st)
		case st.size < s.opts.SegmentSize/8 && c.usage.segments[st.id].chunks < manyChunks/8:
			small = append(small, st)
		}
	}
	if len(small) >= mergeSmall {
		sparse = append(sparse, small...)
	}
	return sparse, nil
}

// mergeSmall is how many small segments make it worth while to join them: fewer
// would be moved again and again.
const mergeSmall = 8

// sparse says whether so little of a segment lives that it is better emptied.
// What every segment has is not counted against it.
func (c *collection) sparse(st *segmentState) bool {
	return float64(c.usage.segments[st.id].stored) < c.opts.Sparse*float64(st.size-objectAlign)
}

// gather sorts manifests into live and dead, and makes the dead ones unknown.
func (c *collection) gather(ctx context.Context) (live, dead []ManifestID, err error) {
	s := c.store
	s.roots.Lock()
	defer s.roots.Unlock()
	if live, dead, err = s.sortManifests(ctx); err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range dead {
		s.doomed[id] = struct{}{}
	}
	return live, dead, nil
}

// pardon makes dead manifests known again, those that still exist.
func (s *Store) pardon(dead []ManifestID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range dead {
		delete(s.doomed, id)
	}
}

// sortManifests tells the manifests that records list, or that sessions or open
// images use, from the others. Roots is held for writing.
func (s *Store) sortManifests(ctx context.Context) (live, dead []ManifestID, err error) {
	// What is listed now was committed by a session that is still open below,
	// or that put its record before it was closed.
	all, err := s.listManifests(ctx)
	if err != nil {
		return nil, nil, err
	}
	roots := make(map[ManifestID]bool)
	s.mu.Lock()
	for ses := range s.sessions {
		for _, id := range ses.committed() {
			roots[id] = true
		}
	}
	for id := range s.images {
		roots[id] = true
	}
	s.mu.Unlock()
	for r, err := range s.Records(ctx, "") {
		if err != nil {
			return nil, nil, err
		}
		for _, id := range r.Manifests {
			roots[id] = true
		}
	}
	for _, id := range all {
		if roots[id] {
			live = append(live, id)
		} else {
			dead = append(dead, id)
		}
	}
	return live, dead, nil
}

func (c *collection) removeManifest(ctx context.Context, id ManifestID) error {
	v := c.store.opts.Volume
	o, err := v.Open(ctx, id.object())
	if err != nil {
		return fmt.Errorf("remove manifest %v: %w", id, err)
	}
	size := o.Size()
	if err := errors.Join(o.Close(), v.Remove(ctx, id.object())); err != nil {
		return fmt.Errorf("remove manifest %v: %w", id, err)
	}
	c.stats.Manifests++
	c.stats.ReclaimedBytes += size
	return nil
}

// removeSegment removes a segment whose chunks are dead or moved, unless somebody
// touched it. The index forgets it first: what it forgot and the volume still
// has comes back with the next Open.
func (c *collection) removeSegment(ctx context.Context, st *segmentState) error {
	s := c.store
	dir, err := s.loadDirectory(ctx, st.id)
	if damaged(err) {
		dir, err = newDirectory(st.id, nil), nil // nothing of it is indexed
	}
	if err != nil {
		return fmt.Errorf("remove segment %v: %w", st.id, err)
	}
	if !s.segments.doom(st, c.epoch) {
		return nil
	}
	err = s.index.forget(dir)
	if err == nil {
		err = s.opts.Volume.Remove(ctx, st.id.object())
	}
	if errors.Is(err, blockio.ErrNotFound) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("remove segment %v: %w", st.id, err)
	}
	s.segments.remove(st)
	c.stats.Segments++
	c.stats.ReclaimedBytes += st.size
	return s.objects.drop(st.id)
}
