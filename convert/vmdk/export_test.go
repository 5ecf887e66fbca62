package vmdk

import (
	"context"
	"iter"
)

// ParseMarker gives tests the fields of a marker.
func ParseMarker(p []byte) (val uint64, size, kind uint32) {
	m := parseMarker(p)
	return m.val, m.size, m.kind
}

// CheckWindows is Check that looks at so many sectors of a file at a time.
func (img *Image) CheckWindows(ctx context.Context, sectors int64) error {
	for _, e := range img.extents {
		if s, ok := e.guest.(*sparse); ok {
			if err := s.checkWindows(ctx, sectors); err != nil {
				return err
			}
		}
	}
	return nil
}

// SeeTables makes an image remember the grains of so many tables.
func (img *Image) SeeTables(n int) {
	for _, e := range img.extents {
		if s, ok := e.guest.(*sparse); ok {
			s.seen = newSeenGrains(n)
		}
	}
}

// HostMap is a hostMap.
type HostMap struct{ m *hostMap }

// NewHostMap makes a map with the window start to end-1.
func NewHostMap(start, end int64) HostMap {
	m := newHostMap(end - start)
	m.move(start, end)
	return HostMap{m}
}

func (h HostMap) Claim(start, count int64) (int64, bool)  { return h.m.claim(start, count) }
func (h HostMap) Gaps(from int64) iter.Seq2[int64, int64] { return h.m.gaps(from) }
