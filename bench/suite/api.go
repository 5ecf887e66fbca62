package suite

import (
	"slices"

	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/result"
)

// answerP99 is one of the times that blockbench load reports.
const answerP99 result.Metric = "p99_seconds"

// apiLimit is what 99 of 100 answers to Get and List may take.
const apiLimit = 10e-3

// apiCases ask how soon a daemon answers. Its load runs within blockbench, which
// starts the daemon on an empty directory and makes an image first.
func apiCases() []bench.Case {
	const (
		quietStep, fastStep  = "500 a second", "as fast as answered"
		importStep, coldStep = "500 a second, importing", "500 a second, importing from the disk"
		meanwhile            = "$CORPUS/b.raw"
	)
	load := func(args ...string) bench.Command {
		return bench.Command{
			Args: slices.Concat([]string{
				"load", "--start", "$SCRATCH/data", "--create", "$CORPUS/a.qcow2", "--duration", "10s", "-o", "json",
			}, args),
			Reads: []string{"$CORPUS/a.qcow2"}, Writes: "$SCRATCH/data",
		}
	}
	reads := []string{"--mix", "get=9,list=1"}
	importing := load(append(reads, "--rate", "500", "--import", meanwhile)...)
	cold := importing
	cold.Cools = []string{meanwhile}
	importing.Reads = append(importing.Reads, meanwhile)
	return []bench.Case{{
		Name: "api/latency", Title: "Time to answer Get and List",
		Shows: "What 99 of 100 answers take at most, at 500 requests a second, at the same while an image is imported, " +
			"from memory or from the disk, and from 16 callers that ask again at once.",
		Metric: answerP99, Caches: []result.Cache{result.Warm}, Steps: []string{quietStep, coldStep, importStep, fastStep},
		Needs: []string{"a.qcow2", "b.raw"}, MaxRounds: 3,
		Contenders: []bench.Contender{{
			Name: bench.Ours, Program: "blockbench",
			Steps: map[string]bench.Command{
				quietStep:  load(append(reads, "--rate", "500")...),
				coldStep:   cold,
				importStep: importing,
				fastStep:   load(reads...),
			},
		}},
		Goals: []bench.Goal{
			{Text: "answers at 500 a second beside an import, p99", Step: importStep, Metric: answerP99, AtMost: apiLimit},
			{Text: "answers at 500 a second beside an import from the disk, p99", Step: coldStep, Metric: answerP99, AtMost: apiLimit},
		},
	}}
}
