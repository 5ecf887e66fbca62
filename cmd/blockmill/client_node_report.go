package main

import (
	"fmt"
	"io"

	"github.com/blockmill/blockmill/api/blockmillpb"
)

// scrubView is what came of a scrub of the node. Sizes are in bytes.
type scrubView struct {
	Unrepaired int64    `json:"unrepaired"`
	Repaired   int64    `json:"repaired"`
	Read       int64    `json:"read_bytes"`
	Resumed    bool     `json:"resumed"`
	Problems   []string `json:"problems"`
}

func viewScrub(r *blockmillpb.ScrubReport) scrubView {
	return scrubView{Unrepaired: r.Unrepaired, Repaired: r.Repaired, Read: r.ReadBytes, Resumed: r.Resumed, Problems: list0(r.Problems)}
}

func (v scrubView) table(w io.Writer) {
	row(w, "read", human(v.Read))
	row(w, "repaired", v.Repaired)
	row(w, "unrepaired", v.Unrepaired)
	for _, p := range v.Problems {
		row(w, "problem", p)
	}
}

// left is the error that damage is left.
func (v scrubView) left() error {
	switch {
	case len(v.Problems) > 0:
		return fmt.Errorf("%d damaged places are left: %s", v.Unrepaired, v.Problems[0])
	case v.Unrepaired > 0:
		return fmt.Errorf("%d damaged places are left", v.Unrepaired)
	}
	return nil
}

// garbageView is what a collection of the node's removed. Sizes are in bytes.
type garbageView struct {
	Manifests int64 `json:"manifests"`
	Segments  int64 `json:"segments"`
	Moved     int64 `json:"moved_bytes"`
	Reclaimed int64 `json:"reclaimed_bytes"`
}

func viewGarbage(r *blockmillpb.GarbageReport) garbageView {
	return garbageView{Manifests: r.Manifests, Segments: r.Segments, Moved: r.MovedBytes, Reclaimed: r.ReclaimedBytes}
}

func (v garbageView) table(w io.Writer) {
	row(w, "manifests", v.Manifests)
	row(w, "segments", v.Segments)
	row(w, "moved", human(v.Moved))
	row(w, "reclaimed", human(v.Reclaimed))
}
