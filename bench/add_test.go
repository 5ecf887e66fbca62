package bench_test

import (
	"errors"
	"testing"

	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/result"
	"github.com/google/go-cmp/cmp"
)

// timed is a run of one case, with a round for each of the seconds.
func timed(name string, ours ...float64) *result.Run {
	c := result.Case{
		Name: name, Metric: result.Total, Caches: []result.Cache{result.Warm}, Steps: []string{"step"},
		Contenders: []result.Contender{{Name: bench.Ours, Ours: true}},
	}
	for i, v := range ours {
		c.Samples = append(c.Samples, result.Sample{
			Contender: bench.Ours, Step: "step", Cache: result.Warm, Round: i, Values: map[result.Metric]float64{result.Total: v},
		})
	}
	return &result.Run{Rounds: len(ours), Cases: []result.Case{c}}
}

func TestAdd(t *testing.T) {
	cases := []bench.Case{{Name: "one", Goals: []bench.Goal{{Text: "quick", Step: "step", Metric: result.Total, AtMost: 2}}}}
	first, err := bench.Add(nil, timed("one", 1, 2), cases)
	if err != nil {
		t.Fatal(err)
	}
	both, err := bench.Add(first, timed("one", 3), cases)
	if err != nil {
		t.Fatal(err)
	}
	c := both.Cases[0]
	var rounds []int
	for _, s := range c.Samples {
		rounds = append(rounds, s.Round)
	}
	if diff := cmp.Diff([]int{0, 1, 2}, rounds); diff != "" || both.Rounds != 3 {
		t.Errorf("%d rounds (-want +got):\n%s", both.Rounds, diff)
	}
	if len(c.Goals) != 1 || c.Goals[0].Met || *c.Goals[0].Value != 3 {
		t.Errorf("goals = %+v, want one that the added round misses", c.Goals)
	}
	if len(first.Cases[0].Samples) != 2 {
		t.Error("Add changed its argument")
	}
}

func TestAddOfOthers(t *testing.T) {
	other, err := bench.Add(timed("one", 1), timed("two", 2), nil)
	if err != nil || len(other.Cases) != 2 {
		t.Errorf("two cases added: %v, %v", other, err)
	}
	changed := timed("one", 2)
	changed.Cases[0].Contenders[0].Commands = []result.Command{{Step: "step", Line: "blockmill --faster"}}
	if alone, err := bench.Add(timed("one", 1), changed, nil); err != nil || len(alone.Cases[0].Samples) != 1 {
		t.Errorf("a case with other commands was mixed: %v, %v", alone, err)
	}
	elsewhere := timed("one", 2)
	elsewhere.Machine.Cores = 64
	if _, err := bench.Add(timed("one", 1), elsewhere, nil); !errors.Is(err, result.ErrOtherMachine) {
		t.Errorf("runs of two machines: %v", err)
	}
}
