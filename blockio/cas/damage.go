package cas

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// ObjectRange is a run of bytes of an object in the volume; a Length of -1 is
// the whole object.
type ObjectRange struct {
	Object         string
	Offset, Length int64
}

// Overlaps says whether two ranges of one object have bytes in common.
func (r ObjectRange) Overlaps(other ObjectRange) bool {
	return other.Length < 0 || r.overlaps(other.Offset, other.Offset+other.Length)
}

func (r ObjectRange) overlaps(off, end int64) bool {
	return r.Length < 0 || off < r.Offset+r.Length && end > r.Offset
}

// GuestRange is a run of guest bytes of an image that cannot be read, and why.
type GuestRange struct {
	Manifest       ManifestID
	Offset, Length int64
	Err            error
}

// Unreadable says which guest bytes cannot be read because of damage to objects.
// It looks at all manifests, and reads the chunks that the damaged ranges touch:
// damage beside a chunk is none of it.
func (s *Store) Unreadable(ctx context.Context, ranges []ObjectRange) ([]GuestRange, error) {
	reads, err := s.readable(ctx)
	if err != nil {
		return nil, fmt.Errorf("find unreadable ranges: %w", err)
	}
	ids, err := s.listManifests(ctx)
	if err != nil {
		return nil, fmt.Errorf("find unreadable ranges: %w", err)
	}
	d := damageFinder{store: s, reads: reads, ranges: map[string][]ObjectRange{}}
	for _, r := range ranges {
		d.ranges[r.Object] = append(d.ranges[r.Object], r)
		// Damage may have kept a manifest from being listed.
		if id, err := parseObjectID(manifestKind, r.Object); err == nil && !slices.Contains(ids, ManifestID(id)) {
			ids = append(ids, ManifestID(id))
		}
	}
	for _, id := range ids {
		if err := d.manifest(ctx, id); err != nil {
			return d.found, fmt.Errorf("find unreadable ranges of manifest %v: %w", id, err)
		}
	}
	return d.found, nil
}

type damageFinder struct {
	store  *Store
	reads  *readBuffers
	ranges map[string][]ObjectRange // by object
	found  []GuestRange
}

// add notes a range, joined with the one before where they touch.
func (d *damageFinder) add(id ManifestID, off, length int64, err error) {
	if n := len(d.found); n > 0 {
		last := &d.found[n-1]
		if last.Manifest == id && last.Offset+last.Length == off {
			last.Length += length
			return
		}
	}
	d.found = append(d.found, GuestRange{id, off, length, err})
}

// manifest looks at one manifest. The error is that of the context.
func (d *damageFinder) manifest(ctx context.Context, id ManifestID) (err error) {
	m, err := openManifest(ctx, d.store.opts.Volume, d.store.header.id, id)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ErrNotFound):
		return nil // removed in the meantime
	case err != nil:
		d.add(id, 0, -1, err)
		return nil
	}
	defer func() { err = errors.Join(err, m.close()) }()
	for at, err := range m.places(0) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			d.add(id, 0, m.head.size, err)
			return nil
		}
		base := int64(at.window) * WindowSize
		chunks, err := m.part(at)
		if err != nil {
			d.add(id, base, windowLen(m.head.size, int64(at.window)), err)
			continue
		}
		for _, c := range chunks {
			if err := d.chunk(ctx, c); err != nil {
				d.add(id, base+int64(c.off), int64(c.len), err)
			}
		}
	}
	return ctx.Err()
}

// chunk is the error of a chunk that is damaged.
func (d *damageFinder) chunk(ctx context.Context, c chunk) error {
	loc, err := d.store.index.resolve(ctx, c.id, false)
	if err != nil {
		return err
	}
	for _, r := range d.ranges[loc.segment.object()] {
		if r.overlaps(int64(loc.off), loc.end()) {
			return d.read(ctx, loc)
		}
	}
	return nil
}

// read reads a chunk and checks its full digest.
func (d *damageFinder) read(ctx context.Context, loc location) error {
	dst := make([]byte, loc.raw)
	if err := d.store.fetch(ctx, d.reads, []want{{location: loc, dst: dst}}); err != nil {
		return err
	}
	if got := identify(dst); got != loc.id {
		return corrupt(loc.segment.object(), int64(loc.off), "chunk is %v, expected %v", got, loc.id)
	}
	return nil
}
