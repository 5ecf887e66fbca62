package suite

import (
	"slices"

	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/result"
)

// Steps of the cases on stores.
const (
	firstStep   = "first"
	againStep   = "again"
	upgradeStep = "upgraded"
	releaseStep = "same release"
	restoreStep = "restore"
	collectStep = "collected"
)

const (
	ourStore = "$SCRATCH/store"
	restored = "$SCRATCH/restored/a.raw"
)

func storeCases() []bench.Case { return []bench.Case{storeAgainstCopy(), storeAgainstStores()} }

// storeAgainstCopy asks what the store costs beyond a plain conversion.
func storeAgainstCopy() bench.Case {
	qemu := func(name string, flags []string) bench.Contender {
		convert := func(source string) bench.Command {
			out := "$SCRATCH/out.raw"
			return bench.Command{
				Args:  append(slices.Concat([]string{"convert", "-f", "qcow2", "-O", "raw"}, flags), "$CORPUS/"+source, out),
				Reads: []string{"$CORPUS/" + source}, Writes: out, Check: bench.SameFile(out, "$CORPUS/a.raw"),
			}
		}
		return bench.Contender{
			Name: name, Program: "qemu-img",
			Steps: map[string]bench.Command{firstStep: convert("a.qcow2"), restoreStep: convert("a-zstd.qcow2")},
		}
	}
	return bench.Case{
		Name: "store/qemu", Title: "Store import and export against a plain conversion",
		Shows: "Import of a plain qcow2 beside qemu-img's conversion of it to raw; a second import of the same content; " +
			"export to raw beside qemu-img's conversion of a zstd qcow2.",
		Metric: result.Total, Caches: bothCaches,
		Steps: []string{firstStep, againStep, restoreStep},
		Needs: []string{"a.qcow2", "a-zstd.qcow2", "a.raw"},
		Contenders: []bench.Contender{
			ourContender("qcow2", map[string]string{firstStep: "a.qcow2", againStep: "a.qcow2"}),
			encodingContender("qcow2", map[string]string{firstStep: "a.qcow2", againStep: "a.qcow2"}),
			qemu(qemuDirect, directFlags), qemu(qemuCached, cachedFlags),
		},
		Goals: []bench.Goal{
			{Text: "import of qcow2, against qemu-img qcow2 to raw", Step: firstStep, Metric: result.Total, Versus: qemuVariants, AtLeast: 1},
			{Text: "second import, against the first", Step: againStep, Metric: result.Total, Versus: []string{bench.Ours}, VersusStep: firstStep, AtLeast: 2},
			{Text: "export, against qemu-img zstd qcow2 to raw", Step: restoreStep, Metric: result.Total, Versus: qemuVariants, AtLeast: 1},
		},
	}
}

// storeAgainstStores asks the same of every deduplicating store.
func storeAgainstStores() bench.Case {
	images := map[string]string{firstStep: "a.raw", againStep: "a.raw", upgradeStep: "c.raw"}
	peers := peerStores(images)
	contenders := append([]bench.Contender{ourContender("raw", images), encodingContender("raw", images)}, peers...)
	return bench.Case{
		Name: "store/peers", Title: "Deduplicating stores",
		Shows:  "A raw image into a fresh store, the same content once more, the system upgraded in place, and the first restored.",
		Metric: result.Total, Caches: []result.Cache{result.Warm},
		Steps: []string{firstStep, againStep, upgradeStep, restoreStep},
		Needs: []string{"a.raw", "c.raw"}, Contenders: contenders,
		Goals: []bench.Goal{
			{Text: "first import, against the fastest store", Step: firstStep, Metric: result.Total, Versus: names(peers), AtLeast: 4},
			{Text: "repeated import, against the fastest store", Step: againStep, Metric: result.Total, Versus: names(peers), AtLeast: 8},
			{Text: "restore, against the fastest store", Step: restoreStep, Metric: result.Total, Versus: names(peers), AtLeast: 3},
		},
	}
}

func names(contenders []bench.Contender) []string {
	out := make([]string, len(contenders))
	for i, c := range contenders {
		out[i] = c.Name
	}
	return out
}

// ourContender imports an image of the corpus at each step, and restores the
// first.
func ourContender(format string, images map[string]string) bench.Contender {
	steps := importSteps(images, ourStore, func(step, image string) []string {
		return []string{"store", "import", "--store", ourStore, "-f", format, "--name", slug(step), "-o", "json", image}
	})
	steps[restoreStep] = restore(ourStore, bench.Command{
		Args: []string{"store", "export", "--store", ourStore, "-O", "raw", slug(firstStep), restored},
	}, restored)
	return bench.Contender{
		Name: bench.Ours, Program: bench.Ours,
		Setup: [][]string{{"store", "init", "--store", ourStore}},
		Steps: steps,
	}
}

// encodingContender is ours, compressing all at once as others do, where ours
// leaves that for later when it would hold up an import.
func encodingContender(format string, images map[string]string) bench.Contender {
	c := ourContender(format, images)
	c.Name = bench.Ours + " --encode-all"
	for step := range images {
		cmd := c.Steps[step]
		cmd.Args = append(slices.Clone(cmd.Args), "--encode-all")
		c.Steps[step] = cmd
	}
	return c
}

// importSteps makes a command for every step that has an image.
func importSteps(images map[string]string, store string, args func(step, image string) []string) map[string]bench.Command {
	steps := make(map[string]bench.Command)
	for step, image := range images {
		image = "$CORPUS/" + image
		steps[step] = bench.Command{Args: args(step, image), Reads: []string{image}, Writes: store, Grows: true}
	}
	return steps
}

// restore completes a command that restores image A from a store. The
// directory of the output exists only once the command has run.
func restore(store string, cmd bench.Command, out string) bench.Command {
	cmd.Reads = []string{store}
	cmd.Writes = out
	cmd.Check = bench.SameFile(out, "$CORPUS/a.raw")
	return cmd
}

func slug(step string) string {
	return string(slices.DeleteFunc([]byte(step), func(b byte) bool { return b == ' ' }))
}
