package blockio_test

import (
	"testing"

	"github.com/blockmill/blockmill/blockio"
)

// An object may have one write of uneven length, which ends it.
func TestWritesUneven(t *testing.T) {
	const unit = 512
	for _, tt := range []struct {
		name     string
		writes   [][2]int // offset and length
		size     int64
		complete bool
	}{
		{"even", [][2]int{{0, unit}, {unit, 2 * unit}}, 3 * unit, true},
		{"uneven at the end", [][2]int{{unit, 10}, {0, unit}}, unit + 10, true},
		{"uneven before the end", [][2]int{{0, 10}, {unit, unit}}, unit + 10, false},
		{"too short", [][2]int{{0, unit}}, 2 * unit, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var w blockio.Writes
			for _, p := range tt.writes {
				if err := w.Accept(int64(p[0]), p[1], unit); err != nil {
					t.Fatal(err)
				}
				w.Done(p[1])
			}
			if err := w.Complete(tt.size); (err == nil) != tt.complete {
				t.Errorf("complete: %v", err)
			}
		})
	}
}
