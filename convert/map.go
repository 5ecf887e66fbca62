package convert

import (
	"context"
	"iter"

	"github.com/blockmill/blockmill/blockio"
)

// Mapping is a run of guest bytes as a map of the image shows it, in the terms
// of qemu-img map.
type Mapping struct {
	Start  int64 `json:"start"`
	Length int64 `json:"length"`
	// Depth is 0: images have no backing files here.
	Depth int `json:"depth"`
	// Present says that the container allocates or marks the run.
	Present    bool `json:"present"`
	Zero       bool `json:"zero"`
	Data       bool `json:"data"`
	Compressed bool `json:"compressed"`
	// Offset is where the run stands in the file, when it stands there plain
	// and in one piece.
	Offset *int64 `json:"offset,omitempty"`
}

func newMapping(e blockio.Extent) Mapping {
	m := Mapping{
		Start: e.Offset, Length: e.Length,
		Present: e.State != blockio.Hole || e.Host != blockio.NoHost,
		Zero:    e.State != blockio.Data,
		Data:    e.State == blockio.Data, Compressed: e.Compressed,
	}
	if e.Host != blockio.NoHost {
		m.Offset = &e.Host
	}
	return m
}

// joins says that next goes on where m ends, in every respect.
func (m *Mapping) joins(next *Mapping) bool {
	if m.Present != next.Present || m.Zero != next.Zero || m.Data != next.Data || m.Compressed != next.Compressed {
		return false
	}
	if m.Offset == nil || next.Offset == nil {
		return m.Offset == next.Offset
	}
	return *m.Offset+m.Length == *next.Offset
}

// Map yields the mappings of a whole image in order, neighbours of one kind
// joined. The image's whole-file check runs beside it; when it fails, that is
// the last that is yielded.
func Map(ctx context.Context, img Image) iter.Seq2[Mapping, error] {
	return func(yield func(Mapping, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		checked := make(chan error, 1)
		go func() { checked <- check(ctx, img, nil) }()
		more := mappings(ctx, img, yield)
		if !more {
			cancel()
		}
		if err := <-checked; err != nil && more {
			yield(Mapping{}, err)
		}
	}
}

// mappings yields what Map does but for the check, and says whether more is
// wanted.
func mappings(ctx context.Context, img Image, yield func(Mapping, error) bool) bool {
	var cur Mapping
	for e, err := range img.Extents(ctx, 0, img.Size()) {
		if err != nil {
			yield(Mapping{}, err)
			return false
		}
		next := newMapping(e)
		switch {
		case cur.Length == 0:
			cur = next
		case cur.joins(&next):
			cur.Length += next.Length
		default:
			if !yield(cur, nil) {
				return false
			}
			cur = next
		}
	}
	return cur.Length == 0 || yield(cur, nil)
}
