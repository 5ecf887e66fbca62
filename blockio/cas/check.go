package cas

import (
	"context"
	"errors"
	"fmt"
)

// CheckReport is what Check looked at and what it found wrong.
type CheckReport struct {
	Records, Manifests, Segments, Chunks int64
	// Problems are errors that name the objects concerned, the first
	// maxProblems of them; Found is how many there were.
	Problems []error
	Found    int64
}

const maxProblems = 1000

func (r *CheckReport) add(err error) {
	if r.Found++; len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, err)
	}
}

// Check checks the structure of the store: every record can be read and its
// manifests exist, the chunks of every manifest are where the index says, every
// directory is intact and what the index has of it agrees. It does not read the
// chunks; Verify does. Its error says that it could not go on, not that something
// is wrong.
func (s *Store) Check(ctx context.Context) (CheckReport, error) {
	var r CheckReport
	if err := s.index.flush(); err != nil {
		return r, fmt.Errorf("check: %w", err)
	}
	for _, step := range []func(context.Context, *CheckReport) error{s.checkRecords, s.checkManifests, s.checkSegments} {
		if err := step(ctx, &r); err != nil {
			return r, fmt.Errorf("check: %w", err)
		}
	}
	return r, nil
}

func (s *Store) checkRecords(ctx context.Context, r *CheckReport) error {
	for rec, err := range s.Records(ctx, "") {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.Records++
		if err != nil {
			r.add(err)
			continue
		}
		for _, id := range rec.Manifests {
			if err := s.hasManifest(ctx, id); err != nil {
				r.add(fmt.Errorf("record %s.%s: manifest %v: %w", rec.Kind, rec.ID, id, err))
			}
		}
	}
	return nil
}

func (s *Store) checkManifests(ctx context.Context, r *CheckReport) error {
	ids, err := s.listManifests(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		r.Manifests++
		if err := s.checkManifest(ctx, id); errors.Is(err, ErrNotFound) {
			continue // removed in the meantime
		} else if ctx.Err() != nil {
			return ctx.Err()
		} else if err != nil {
			r.add(fmt.Errorf("manifest %v: %w", id, err))
		}
	}
	return nil
}

func (s *Store) checkManifest(ctx context.Context, id ManifestID) error {
	var st ImageStat
	var chunks, data int64
	err := s.eachChunk(ctx, id, func(m *manifest, c chunk, loc location) error {
		chunks++
		data += int64(c.len)
		if loc.raw != c.len {
			return corrupt(id.object(), 0, "chunk %v of %d bytes, segment %v has %d", c.id, c.len, loc.segment, loc.raw)
		}
		return nil
	}, &st)
	if err == nil && (chunks != st.Chunks || data != st.DataBytes) {
		err = corrupt(id.object(), st.ManifestBytes-manifestFooterSize, "%d chunks of %d bytes, parts have %d of %d", st.Chunks, st.DataBytes, chunks, data)
	}
	return err
}
