package suite

import (
	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/result"
)

// Steps of the cases on what a store needs from time to time.
const (
	scrubStep  = "scrub"
	verifyStep = "verify"
	removeStep = "remove"
	gcStep     = "collect"
)

// careCases ask what it takes to read everything that a store holds and check
// it, and to give back the space of an image that is gone.
func careCases() []bench.Case {
	ours := bench.Contender{
		Name: bench.Ours, Program: bench.Ours,
		Setup: [][]string{
			{"store", "init", "--store", ourStore},
			{"store", "import", "--store", ourStore, "-f", "raw", "--name", "first", "$CORPUS/a.raw"},
			{"store", "import", "--store", ourStore, "-f", "raw", "--name", "upgraded", "$CORPUS/c.raw"},
		},
		Steps: map[string]bench.Command{
			scrubStep:  {Args: []string{"store", "scrub", "--store", ourStore, "-o", "json"}, Reads: []string{ourStore}},
			verifyStep: {Args: []string{"store", "verify", "--store", ourStore}, Reads: []string{ourStore}},
			removeStep: changing("store", "rm", "--store", ourStore, "upgraded"),
			gcStep:     changing("store", "gc", "--store", ourStore, "-o", "json"),
		},
	}
	return []bench.Case{{
		Name: "care", Title: "Scrub, verification and collection",
		Shows: "A store with a system and its upgrade: everything read and compared with its checksums, every image read and " +
			"hashed, the upgrade removed, its space given back.",
		Metric: result.Total, Caches: bothCaches,
		Steps: []string{scrubStep, verifyStep, removeStep, gcStep},
		Needs: []string{"a.raw", "c.raw"}, MaxRounds: 3,
		Contenders: []bench.Contender{ours, resticCare(), borgCare()},
	}}
}

// changing is a command that changes our store in its place.
func changing(args ...string) bench.Command {
	return bench.Command{Args: args, Reads: []string{ourStore}, Writes: ourStore, Grows: true}
}

func peerChange(dir string, args ...string) bench.Command {
	return bench.Command{Args: args, Dir: dir, Reads: []string{repository}, Writes: repository, Grows: true}
}

func resticCare() bench.Contender {
	c := restic(nil)
	c.Setup = append(c.Setup,
		[]string{"backup", "--quiet", "--tag", "first", "$CORPUS/a.raw"},
		[]string{"backup", "--quiet", "--tag", "upgraded", "$CORPUS/c.raw"})
	c.Steps = map[string]bench.Command{
		verifyStep: {Args: []string{"check", "--quiet", "--read-data"}, Reads: []string{repository}},
		removeStep: peerChange("", "forget", "--quiet", "latest"),
		gcStep:     peerChange("", "prune", "--quiet", "--max-unused", "0"),
	}
	return c
}

func borgCare() bench.Contender {
	c := borg(nil)
	c.Setup = append(c.Setup,
		[]string{"create", "--compression", "lz4", "--files-cache=disabled", "::first", "$CORPUS/a.raw"},
		[]string{"create", "--compression", "lz4", "--files-cache=disabled", "::upgraded", "$CORPUS/c.raw"})
	c.Steps = map[string]bench.Command{
		scrubStep:  {Args: []string{"check", "--repository-only"}, Reads: []string{repository}},
		verifyStep: {Args: []string{"check", "--verify-data"}, Reads: []string{repository}},
		removeStep: peerChange("", "delete", "::upgraded"),
		gcStep:     peerChange("", "compact", "--threshold", "0"),
	}
	return c
}
