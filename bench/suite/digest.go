package suite

import (
	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/result"
)

// digestCases ask how fast an image is read and hashed. The peers hash a file
// and not what a guest would see, which is less work.
func digestCases() []bench.Case {
	const rawStep, zstdStep = "raw", "zstd qcow2"
	ours := func(format, file string) bench.Command {
		return bench.Command{
			Args:  []string{"digest", "-f", format, "-o", "json", "$CORPUS/" + file},
			Reads: []string{"$CORPUS/" + file},
		}
	}
	peer := func(program string, args ...string) bench.Contender {
		return bench.Contender{Name: program, Program: program, Steps: map[string]bench.Command{
			rawStep: {Args: append(args, "$CORPUS/a.raw"), Reads: []string{"$CORPUS/a.raw"}},
		}}
	}
	return []bench.Case{{
		Name: "digest", Title: "Digest of an image",
		Shows:  "The guest bytes of a raw and of a compressed image, hashed on all cores; beside programs that hash the raw file.",
		Metric: result.Total, Caches: bothCaches, Steps: []string{rawStep, zstdStep},
		Needs: []string{"a.raw", "a-zstd.qcow2"},
		Contenders: []bench.Contender{
			{Name: bench.Ours, Program: bench.Ours, Steps: map[string]bench.Command{
				rawStep: ours("raw", "a.raw"), zstdStep: ours("qcow2", "a-zstd.qcow2"),
			}},
			peer("sha256sum"), peer("b2sum"), peer("xxhsum"),
		},
	}}
}
