package cas

import (
	"context"
	"errors"
	"fmt"
)

// usage says which chunks manifests name, and whether more than one does: four
// bytes a chunk.
type usage struct {
	segments map[SegmentID]*segmentUsage
}

// segmentUsage is the part of a usage that concerns one segment.
type segmentUsage struct {
	// owners has the number of the manifest that names the chunk of each
	// ordinal, shared when several do, 0 when none does. It may be shorter
	// than the directory.
	owners []uint32
	chunks int64 // that are named
	raw    int64 // bytes that they hold
	stored int64 // bytes that they take
}

const shared = ^uint32(0)

// live says whether the chunk of an ordinal is named.
func (u *segmentUsage) live(ordinal int) bool {
	return u != nil && ordinal < len(u.owners) && u.owners[ordinal] != 0
}

// mark notes that manifest number owner names a chunk, and returns who did
// before.
func (u *usage) mark(loc location, owner uint32) (before uint32) {
	seg := u.segments[loc.segment]
	if seg == nil {
		seg = new(segmentUsage)
		u.segments[loc.segment] = seg
	}
	if need := int(loc.ordinal) + 1; need > len(seg.owners) {
		seg.owners = append(seg.owners, make([]uint32, need-len(seg.owners))...)
	}
	before = seg.owners[loc.ordinal]
	switch before {
	case owner:
	case 0:
		seg.owners[loc.ordinal] = owner
		seg.chunks++
		seg.raw += int64(loc.raw)
		seg.stored += loc.takes()
	default:
		seg.owners[loc.ordinal] = shared
	}
	return before
}

// survey marks the chunks of all given manifests, and says for each how many
// bytes of segments it alone holds. A chunk that the index does not know is an
// error: nothing can be said of what may be removed then.
//
// A chunk may be in several segments. Places, if not nil, say which of them counts.
func (s *Store) survey(ctx context.Context, ids []ManifestID, places *places) (*usage, []ImageStat, error) {
	u := &usage{segments: make(map[SegmentID]*segmentUsage)}
	stats := make([]ImageStat, len(ids))
	for i, id := range ids {
		err := s.eachChunk(ctx, id, func(m *manifest, c chunk, loc location) (err error) {
			if places != nil && !u.segments[loc.segment].live(int(loc.ordinal)) {
				if loc, err = places.certain(ctx, loc); err != nil {
					return err
				}
			}
			switch before := u.mark(loc, uint32(i+1)); before {
			case 0:
				stats[i].FreedBytes += loc.takes()
			case uint32(i + 1), shared:
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
				return fmt.Errorf("chunk %v of window %d: %w", c.id, at.window, err)
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
