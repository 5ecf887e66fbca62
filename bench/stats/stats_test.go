package stats_test

import (
	"math"
	"slices"
	"testing"

	"github.com/blockmill/blockmill/bench/stats"
	"github.com/google/go-cmp/cmp"
)

func TestSummarize(t *testing.T) {
	tests := []struct {
		name string
		xs   []float64
		want stats.Summary
	}{
		{"none", nil, stats.Summary{}},
		{"one", []float64{3}, stats.Summary{N: 1, Min: 3, Q1: 3, Median: 3, Q3: 3, Max: 3}},
		{"even", []float64{4, 1, 3, 2}, stats.Summary{N: 4, Min: 1, Q1: 1.75, Median: 2.5, Q3: 3.25, Max: 4}},
		{"odd, one far out", []float64{5, 1, 2, 100, 3}, stats.Summary{N: 5, Min: 1, Q1: 2, Median: 3, Q3: 5, Max: 100}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := slices.Clone(tt.xs)
			if diff := cmp.Diff(tt.want, stats.Summarize(tt.xs)); diff != "" {
				t.Errorf("Summarize (-want +got):\n%s", diff)
			}
			if !slices.Equal(before, tt.xs) {
				t.Errorf("Summarize reordered its argument: %v", tt.xs)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	if got := stats.Median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("Median of three = %v, want 5", got)
	}
	if got := stats.Median(nil); !math.IsNaN(got) {
		t.Errorf("Median of none = %v, want NaN", got)
	}
}

// The p-values are those of tables of the exact distribution, and for ties of
// the normal approximation worked by hand.
func TestRankTest(t *testing.T) {
	tests := []struct {
		name string
		a, b []float64
		want float64
	}{
		{"empty", nil, []float64{1}, 1},
		{"5 against 5, apart", []float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}, 2.0 / 252},
		{"the other way round", []float64{6, 7, 8, 9, 10}, []float64{1, 2, 3, 4, 5}, 2.0 / 252},
		{"3 against 3, apart", []float64{1, 2, 3}, []float64{4, 5, 6}, 0.1},
		{"3 against 3, mixed", []float64{1, 4, 5}, []float64{2, 3, 6}, 1},
		{"3 against 4, one apart", []float64{1, 2, 4}, []float64{3, 5, 6, 7}, 4.0 / 35},
		{"all equal", []float64{1, 1, 1}, []float64{1, 1, 1}, 1},
		{"ties", []float64{1, 2, 2}, []float64{2, 3, 3}, math.Erfc((3.5 - 0.5) / math.Sqrt(9.0/12*(7-30.0/30)) / math.Sqrt2)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := stats.RankTest(tt.a, tt.b); math.Abs(got-tt.want) > 1e-9 {
				t.Errorf("RankTest = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestRankTestOfManySamples(t *testing.T) {
	var low, high []float64
	for i := range 40 {
		low = append(low, float64(i)+0.25)
		high = append(high, float64(i)+30.75)
	}
	if p := stats.RankTest(low, high); p > 1e-9 {
		t.Errorf("RankTest of sets 30 apart = %v, want next to 0", p)
	}
	if p := stats.RankTest(low, low); p < 0.99 {
		t.Errorf("RankTest of a set with itself = %v, want 1", p)
	}
}
