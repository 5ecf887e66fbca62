package cas

import (
	"context"
	"fmt"
)

// Stat is what a store holds. All sizes are in bytes.
type Stat struct {
	// Images are the manifests that records or sessions hold, and what each
	// of them is.
	Images []ImageStat
	// LogicalBytes are the virtual sizes of all images, DataBytes what is not
	// zero in them.
	LogicalBytes, DataBytes int64
	// UniqueBytes are what the chunks of all images hold, each counted once;
	// StoredBytes what those chunks take.
	UniqueBytes, StoredBytes int64
	// SegmentBytes and ManifestBytes are the sizes of all such objects.
	SegmentBytes, ManifestBytes int64
	// ReclaimableBytes are those of the segments that no image needs. Garbage
	// collection gives back the larger part of them.
	ReclaimableBytes int64
	// Chunks are those of all images, each counted once.
	Chunks int64
	// Segments is how many there are.
	Segments int64
}

// ImageStat is what one manifest holds.
type ImageStat struct {
	ID                      ManifestID
	Digest                  Digest
	Size, DataBytes, Chunks int64
	ManifestBytes           int64
	// FreedBytes are those that no other image would need any more.
	FreedBytes int64
}

// Stat counts what the store holds. It reads every manifest.
func (s *Store) Stat(ctx context.Context) (Stat, error) {
	ids, err := s.rootManifests(ctx)
	if err != nil {
		return Stat{}, fmt.Errorf("stat: %w", err)
	}
	u, images, err := s.survey(ctx, ids)
	if err != nil {
		return Stat{}, fmt.Errorf("stat: %w", err)
	}
	st := Stat{Images: images}
	for _, im := range images {
		st.LogicalBytes += im.Size
		st.DataBytes += im.DataBytes
		st.ManifestBytes += im.ManifestBytes
	}
	for _, seg := range u.segments {
		st.Chunks += seg.chunks
		st.UniqueBytes += seg.raw
		st.StoredBytes += seg.stored
	}
	for _, seg := range s.segments.list() {
		st.Segments++
		st.SegmentBytes += seg.size
	}
	st.ReclaimableBytes = st.SegmentBytes - st.StoredBytes
	return st, nil
}

// rootManifests lists the manifests that must stay.
func (s *Store) rootManifests(ctx context.Context) ([]ManifestID, error) {
	s.roots.Lock()
	defer s.roots.Unlock()
	live, _, err := s.sortManifests(ctx)
	return live, err
}
