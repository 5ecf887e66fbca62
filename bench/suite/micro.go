package suite

import (
	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/result"
)

func microCases() []bench.Case {
	const run = "run"
	return []bench.Case{{
		Name: "micro", Title: "Hot paths",
		Shows:  "Go's own benchmarks of the packages: zero test, cut points, hashes, decoders, import and export.",
		Caches: []result.Cache{result.Warm}, Steps: []string{run}, MaxRounds: 1,
		Contenders: []bench.Contender{{
			Name: "go test", Program: "go", Inherit: true,
			Steps: map[string]bench.Command{run: {
				Args: []string{"test", "-run", "^$", "-bench", ".", "-benchmem", "-count", "6", "-p", "1", "./..."},
				Dir:  "$MODULE", KeepText: true,
			}},
		}},
	}}
}
