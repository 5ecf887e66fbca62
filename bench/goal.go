package bench

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/blockmill/blockmill/bench/result"
	"github.com/blockmill/blockmill/bench/stats"
)

// judge says what came of the goals of a case, for each state of the cache.
func judge(goals []Goal, c *result.Case) []result.Goal {
	var out []result.Goal
	for _, cache := range c.Caches {
		for _, g := range goals {
			out = append(out, g.judge(c, cache))
		}
	}
	return out
}

func (g Goal) judge(c *result.Case, cache result.Cache) result.Goal {
	v := result.Goal{Text: g.Text, Cache: cache, Step: g.Step, Owed: g.AtLeast, AtMost: g.AtMost > 0}
	if v.AtMost {
		v.Owed = g.AtMost
	}
	var values []float64
	var value float64
	if len(g.Versus) == 0 {
		v.Unit, v.Limit = g.Metric, v.Owed
		values = g.own(c, cache)
		if len(values) > 0 && v.AtMost {
			value = slices.Max(values)
		} else if len(values) > 0 {
			value = slices.Min(values)
		}
	} else {
		ours := c.Select(Ours, g.Step, cache, g.Metric)
		theirs := g.best(c, cache, &v)
		if len(ours) > 0 && len(theirs) > 0 {
			a, b := stats.Median(theirs), stats.Median(ours)
			v.Limit = a / g.AtLeast
			value = a / b
			if v.AtMost {
				v.Limit, value = a*g.AtMost, b/a
			}
			values = rounds(ours, theirs, v.AtMost)
		}
	}
	if failed := failedOurs(c, cache, g.Step); failed != "" {
		v.Reason = failed
		return v
	}
	if len(values) == 0 {
		v.Reason = cmp.Or(v.Reason, "no samples")
		return v
	}
	v.Value = &value
	v.Low, v.High = slices.Min(values), slices.Max(values)
	v.Met = value >= v.Owed
	if v.AtMost {
		v.Met = value <= v.Owed
	}
	return v
}

// own are our values of the goal's step, or of all steps.
func (g Goal) own(c *result.Case, cache result.Cache) []float64 {
	if g.Step != "" {
		return c.Select(Ours, g.Step, cache, g.Metric)
	}
	var values []float64
	for _, step := range c.Steps {
		values = append(values, c.Select(Ours, step, cache, g.Metric)...)
	}
	return values
}

// best returns the samples of the contender that is best in its median.
func (g Goal) best(c *result.Case, cache result.Cache, v *result.Goal) []float64 {
	step := cmp.Or(g.VersusStep, g.Step)
	var best []float64
	for _, name := range g.Versus {
		xs := c.Select(name, step, cache, g.Metric)
		if len(xs) > 0 && (best == nil || stats.Median(xs) < stats.Median(best)) {
			best, v.Versus = xs, name
		}
	}
	return best
}

// rounds are the ratios of single rounds.
func rounds(ours, theirs []float64, oursFirst bool) []float64 {
	out := make([]float64, min(len(ours), len(theirs)))
	for i := range out {
		out[i] = theirs[i] / ours[i]
		if oursFirst {
			out[i] = ours[i] / theirs[i]
		}
	}
	return out
}

// failedOurs says which of our samples failed; such a goal is not met, however
// fast the others were.
func failedOurs(c *result.Case, cache result.Cache, step string) string {
	for _, s := range c.Failures() {
		if s.Contender == Ours && s.Cache == cache && (step == "" || s.Step == step) {
			return fmt.Sprintf("%s failed in round %d", s.Step, s.Round+1)
		}
	}
	return ""
}
