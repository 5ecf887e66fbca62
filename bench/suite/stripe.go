package suite

import (
	"context"
	"fmt"
	"os"

	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/result"
)

// plainName is our store without redundancy, beside which the striped one is
// measured.
const plainName = "blockmill 1+0"

const degradedStep = "restore, two shards gone"

// stripeCases ask what Reed–Solomon over shards costs. All shards are on one
// disk here, which writes half as much again.
func stripeCases() []bench.Case {
	images := map[string]string{firstStep: "a.raw"}
	plain, striped := ourContender("raw", images), ourContender("raw", images)
	plain.Name = plainName
	plain.Steps[scrubStep] = bench.Command{Args: []string{"store", "scrub", "--store", ourStore, "-o", "json"}, Reads: []string{ourStore}}
	striped.Setup = [][]string{{"store", "init", "--store", ourStore, "--data", "4", "--parity", "2", "--allow-shared-device"}}
	for i := range 6 {
		striped.Setup[0] = append(striped.Setup[0], "--shard", fmt.Sprintf("$SCRATCH/shards/%d", i))
	}
	first := striped.Steps[firstStep]
	first.Writes = "$SCRATCH/shards"
	striped.Steps[firstStep] = first
	striped.Steps[scrubStep] = bench.Command{Args: plain.Steps[scrubStep].Args, Reads: []string{"$SCRATCH/shards"}}
	again := striped.Steps[restoreStep]
	again.Reads = []string{"$SCRATCH/shards"}
	striped.Steps[restoreStep] = again
	again.Prepare = loseShards
	striped.Steps[degradedStep] = again
	return []bench.Case{{
		Name: "stripe", Title: "Reed–Solomon 4+2 on one disk",
		Shows: "A store striped over six directories, any two of which may be lost, beside one of a single directory: import, " +
			"scrub, export, and export while two shards are gone.",
		Metric: result.Total, Caches: []result.Cache{result.Cold},
		Steps: []string{firstStep, scrubStep, restoreStep, degradedStep}, Needs: []string{"a.raw"}, MaxRounds: 3,
		Contenders: []bench.Contender{striped, plain},
		Goals: []bench.Goal{
			{Text: "import to 4+2, against 1+0", Step: firstStep, Metric: result.Total, Versus: []string{plainName}, AtMost: 1.6},
			{Text: "export with two shards gone, against healthy", Step: degradedStep, Metric: result.Total, Versus: []string{bench.Ours}, VersusStep: restoreStep, AtMost: 1.5},
		},
	}}
}

// loseShards puts two shards out of the store's reach.
func loseShards(_ context.Context, env *bench.Env) error {
	for _, i := range []int{1, 4} {
		shard := env.Path(fmt.Sprintf("$SCRATCH/shards/%d", i))
		if err := os.Rename(shard, shard+".gone"); err != nil {
			return err
		}
	}
	return nil
}
