package cas

import "testing"

// TestUsage marks chunks of two segments, some of them twice and by several manifests.
func TestUsage(t *testing.T) {
	a, b := SegmentID{1}, SegmentID{2}
	at := func(id SegmentID, ordinal uint32) location {
		return location{segment: id, ordinal: ordinal, entry: entry{raw: 1000 + ordinal, stored: 100}}
	}
	u := newUsage()
	for _, loc := range []location{at(a, 130), at(a, 0), at(a, 130), at(b, 63), at(b, 64), at(a, 0)} {
		u.mark(loc)
	}
	for ordinal := range 300 {
		if got, want := u.segments[a].live(ordinal), ordinal == 0 || ordinal == 130; got != want {
			t.Errorf("chunk %d of a is live: %v, expected %v", ordinal, got, want)
		}
		if got, want := u.segments[b].live(ordinal), ordinal == 63 || ordinal == 64; got != want {
			t.Errorf("chunk %d of b is live: %v, expected %v", ordinal, got, want)
		}
	}
	if u.segments[SegmentID{3}].live(0) {
		t.Error("a chunk of a segment that no manifest names is live")
	}
	if seg := u.segments[a]; seg.chunks != 2 || seg.raw != 2130 || seg.stored != 2*at(a, 0).takes() || seg.owners != nil {
		t.Errorf("usage of a: %+v", seg)
	}
	for i, step := range []struct {
		ordinal       int
		owner, before uint32
	}{{70, 1, 0}, {70, 1, 1}, {70, 2, 1}, {70, 1, shared}, {3, 2, 0}, {3, 2, 2}} {
		if got := u.segments[b].own(step.ordinal, step.owner); got != step.before {
			t.Errorf("step %d: owner %d before, expected %d", i, got, step.before)
		}
	}
}
