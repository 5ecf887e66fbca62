package bench_test

import (
	"context"
	"testing"

	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/result"
)

// computed is a contender whose values are given: one for each round.
func computed(name string, steps map[string][]float64) bench.Contender {
	c := bench.Contender{Name: name, Steps: make(map[string]bench.Command)}
	for step, values := range steps {
		next := 0
		c.Steps[step] = bench.Command{Compute: func(context.Context, *bench.Env) (map[result.Metric]float64, error) {
			next++
			return map[result.Metric]float64{result.Total: values[next-1]}, nil
		}}
	}
	return c
}

func TestGoals(t *testing.T) {
	contenders := func() []bench.Contender {
		return []bench.Contender{
			computed(bench.Ours, map[string][]float64{"first": {2, 1, 9}, "again": {0.5, 1, 0.25}}),
			computed("slow", map[string][]float64{"first": {8, 9, 7}}),
			computed("fast", map[string][]float64{"first": {6, 5, 40}}),
		}
	}
	tests := []struct {
		name             string
		goal             bench.Goal
		value, low, high float64
		limit            float64
		versus           string
		met              bool
	}{
		{
			"the best peer counts",
			bench.Goal{Step: "first", Versus: []string{"slow", "fast", "absent"}, AtLeast: 3},
			3, 3, 5, 2, "fast", true,
		},
		{
			"missed",
			bench.Goal{Step: "first", Versus: []string{"slow"}, AtLeast: 4.5},
			4, 7.0 / 9, 9, 8 / 4.5, "slow", false,
		},
		{
			"against an earlier step of ours",
			bench.Goal{Step: "again", Versus: []string{bench.Ours}, VersusStep: "first", AtLeast: 4},
			4, 1, 36, 0.5, bench.Ours, true,
		},
		{
			"at most a part of another's",
			bench.Goal{Step: "first", Versus: []string{"fast"}, AtMost: 0.3},
			2.0 / 6, 0.2, 1.0 / 3, 1.8, "fast", false,
		},
		{
			"every sample below a limit",
			bench.Goal{AtMost: 8},
			9, 0.25, 9, 8, "", false,
		},
		{
			"every sample of a step above a limit",
			bench.Goal{Step: "again", AtLeast: 0.25},
			0.25, 0.25, 1, 0.25, "", true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts := place(t)
			opts.Rounds = 3
			tt.goal.Metric = result.Total
			r := run(t, opts, bench.Case{
				Name: "test/goal", Steps: []string{"first", "again"}, Caches: []result.Cache{result.Warm},
				Contenders: contenders(), Goals: []bench.Goal{tt.goal},
			})
			g := r.Cases[0].Goals[0]
			if g.Value == nil {
				t.Fatalf("no value: %s", g.Reason)
			}
			for _, v := range []struct {
				name      string
				got, want float64
			}{{"value", *g.Value, tt.value}, {"low", g.Low, tt.low}, {"high", g.High, tt.high}, {"limit", g.Limit, tt.limit}} {
				if diff := v.got - v.want; diff > 1e-9 || diff < -1e-9 {
					t.Errorf("%s = %v, want %v", v.name, v.got, v.want)
				}
			}
			if g.Versus != tt.versus || g.Met != tt.met {
				t.Errorf("versus %q, met %v; want %q, %v", g.Versus, g.Met, tt.versus, tt.met)
			}
		})
	}
}
