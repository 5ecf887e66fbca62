package cas

import (
	"context"
	"errors"
	"fmt"
)

// usage says which chunks manifests name: a bit a chunk.
type usage struct {
	segments map[SegmentID]*segmentUsage
}

func newUsage() *usage { return &usage{segments: make(map[SegmentID]*segmentUsage)} }

// segmentUsage is the part of a usage that concerns one segment. What it has for
// ordinals may be shorter than the directory.
type segmentUsage struct {
	named []uint64 // a bit for each ordinal, lowest first
	// owners has the number of the manifest that names the chunk of each
	// ordinal, shared when several do, 0 when none does: four bytes a chunk,
	// for those who ask.
	owners []uint32
	chunks int64 // that are named
	raw    int64 // bytes that they hold
	stored int64 // bytes that they take
}

const shared = ^uint32(0)

// live says whether the chunk of an ordinal is named.
func (u *segmentUsage) live(ordinal int) bool {
	return u != nil && ordinal>>6 < len(u.named) && u.named[ordinal>>6]>>(ordinal&63)&1 != 0
}

// mark notes that a chunk is named, and returns what concerns its segment.
func (u *usage) mark(loc location) *segmentUsage {
	seg := u.segments[loc.segment]
	if seg == nil {
		seg = new(segmentUsage)
		u.segments[loc.segment] = seg
	}
	if !seg.live(int(loc.ordinal)) {
		seg.named = lengthen(seg.named, int(loc.ordinal)>>6+1)
		seg.named[loc.ordinal>>6] |= 1 << (loc.ordinal & 63)
		seg.chunks++
		seg.raw += int64(loc.raw)
		seg.stored += loc.takes()
	}
	return seg
}

// own makes a manifest one of the owners of an ordinal, and returns who was before.
func (u *segmentUsage) own(ordinal int, owner uint32) (before uint32) {
	u.owners = lengthen(u.owners, ordinal+1)
	before = u.owners[ordinal]
	switch before {
	case owner:
	case 0:
		u.owners[ordinal] = owner
	default:
		u.owners[ordinal] = shared
	}
	return before
}

// lengthen makes a slice at least n long, with zeros.
func lengthen[T any](s []T, n int) []T {
	if n <= len(s) {
		return s
	}
	return append(s, make([]T, n-len(s))...)
}

// survey marks the chunks of all given manifests, and says for each how many
// bytes of segments it alone holds. A chunk that the index does not know is an
// error.
func (s *Store) survey(ctx context.Context, ids []ManifestID) (*usage, []ImageStat, error) {
	u, stats := newUsage(), make([]ImageStat, len(ids))
	for i, id := range ids {
		owner := uint32(i + 1)
		err := s.eachChunk(ctx, id, func(m *manifest, c chunk, loc location) error {
			switch before := u.mark(loc).own(int(loc.ordinal), owner); before {
			case 0:
				stats[i].FreedBytes += loc.takes()
			case owner, shared:
			default:
				stats[before-1].FreedBytes -= loc.takes()
			}
			return nil
		}, &stats[i])
		if err != nil {
			return nil, nil, fmt.Errorf("survey manifest %v: %w", id, err)
		}
	}
	return u, stats, nil
}

// eachChunk calls each for every chunk of a manifest, in the order of the guest.
func (s *Store) eachChunk(ctx context.Context, id ManifestID, each func(*manifest, chunk, location) error, st *ImageStat) (err error) {
	m, err := openManifest(ctx, s.opts.Volume, s.header.id, id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	*st = ImageStat{
		ID: id, Digest: m.foot.digest, Size: m.head.size, Chunks: m.foot.chunks,
		DataBytes: m.foot.data, ManifestBytes: m.foot.size, FreedBytes: st.FreedBytes,
	}
	for at, err := range m.places(0) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		chunks, err := m.part(at)
		if err != nil {
			return err
		}
		for _, c := range chunks {
			loc, err := s.index.resolve(ctx, c.id, true)
			if err != nil {
				return fmt.Errorf("find chunk %v of window %d: %w", c.id, at.window, err)
			}
			if err := each(m, c, loc); err != nil {
				return err
			}
		}
	}
	return nil
}

// listManifests lists all committed manifests.
func (s *Store) listManifests(ctx context.Context) ([]ManifestID, error) {
	var ids []ManifestID
	for e, err := range s.opts.Volume.List(ctx, manifestKind) {
		if err != nil {
			return nil, fmt.Errorf("list manifests: %w", err)
		}
		id, err := parseObjectID(manifestKind, e.Name)
		if err != nil {
			s.opts.Logger.Warn("left alone what is no manifest", "object", e.Name)
			continue
		}
		ids = append(ids, id)
	}
	return ids, nil
}
