package bench

import (
	"reflect"
	"slices"

	"github.com/blockmill/blockmill/bench/result"
)

// Add returns a run with the rounds of both: those of a case in after come
// behind those that it has in before, and its goals are judged anew. A case
// whose contenders or commands have changed since is after's alone. It is for
// machines that are quiet only for a while.
func Add(before, after *result.Run, cases []Case) (*result.Run, error) {
	if before == nil {
		return after, nil
	}
	joined, err := result.Join(before, after)
	if err != nil {
		return nil, err
	}
	for i := range joined.Cases {
		c := &joined.Cases[i]
		old, fresh := before.Find(c.Name), after.Find(c.Name)
		if old == nil || fresh == nil || !sameQuestion(old, fresh) {
			continue
		}
		merge(c, old, fresh)
		if j := slices.IndexFunc(cases, func(k Case) bool { return k.Name == c.Name }); j >= 0 {
			c.Goals = judge(cases[j].Goals, c)
		}
		joined.Rounds = max(joined.Rounds, roundsOf(c))
	}
	return joined, nil
}

func sameQuestion(a, b *result.Case) bool {
	return a.Metric == b.Metric && slices.Equal(a.Steps, b.Steps) && slices.Equal(a.Caches, b.Caches) &&
		reflect.DeepEqual(a.Contenders, b.Contenders)
}

// merge sets the samples of c.
func merge(c, old, fresh *result.Case) {
	first := roundsOf(old)
	c.Samples = slices.Clone(old.Samples)
	for _, s := range fresh.Samples {
		s.Round += first
		c.Samples = append(c.Samples, s)
	}
}

func roundsOf(c *result.Case) int {
	n := 0
	for _, s := range c.Samples {
		n = max(n, s.Round+1)
	}
	return n
}
