package suite

import (
	"context"
	"strings"

	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/fixture"
	"github.com/blockmill/blockmill/bench/result"
)

// Limits of every single command.
const (
	memoryLimit = 256 << 20
	emptyLimit  = 0.5 // seconds, of an image in which there is nothing
)

const (
	fullL1Image = "$FIXTURE/64T.qcow2"
	emptyImage  = "$FIXTURE/8T.qcow2"
	fullL1Size  = 64 << 40
	// fullL1Stride leaves 32 clusters of data among the 131072 L2 tables.
	fullL1Stride = 4096
)

func memoryCases() []bench.Case {
	return []bench.Case{
		memoryCase("real", "Peak memory on real images",
			"Every command that touches an image, with all kinds of clusters.",
			[]string{"a.raw", "a.qcow2", "a-2M.qcow2", "a-zstd-2M.qcow2", "a-512.qcow2", "a-zlib.qcow2", "a-stream.vmdk", "rnd8g.raw"},
			realImages()),
		memoryCase("full-l1", "Peak memory on a full L1 table",
			"A qcow2 of 64 TiB in which every L1 entry has an L2 table: 131072 tables, 8 GiB of them.",
			nil, sequence(largeImage(fullL1Image))),
		emptyCase(),
	}
}

// step is a named command of ours; a case runs them in their order.
type step struct {
	name string
	cmd  bench.Command
}

func memoryCase(name, title, shows string, needs []string, steps []step) bench.Case {
	c := bench.Case{
		Name: "memory/" + name, Title: title, Shows: shows, Metric: result.MaxRSS,
		Caches: []result.Cache{result.Warm}, Needs: needs, MaxRounds: 3, Independent: true,
		Prepare: func(_ context.Context, env *bench.Env) error {
			return fixture.FullL1(env.Path(fullL1Image), fullL1Size, fullL1Stride)
		},
		Goals: []bench.Goal{{Text: "peak memory of any command, " + name, Metric: result.MaxRSS, AtMost: memoryLimit}},
	}
	if needs != nil {
		c.Prepare = nil
	}
	ours := bench.Contender{
		Name: bench.Ours, Program: bench.Ours,
		Setup: [][]string{{"store", "init", "--store", ourStore}},
		Steps: make(map[string]bench.Command),
	}
	for _, s := range steps {
		c.Steps = append(c.Steps, s.name)
		ours.Steps[s.name] = s.cmd
	}
	c.Contenders = []bench.Contender{ours}
	return c
}

// emptyCase is also about time.
func emptyCase() bench.Case {
	c := memoryCase("empty", "An empty image of 8 TiB",
		"Nothing may cost what the virtual size is: there is nothing in it.",
		nil, sequence(append(largeImage(emptyImage),
			step{"convert to raw", copyTo("$SCRATCH/out.raw", "convert", "-f", "qcow2", "-O", "raw", emptyImage)})))
	c.Metric = result.Total
	c.Prepare = func(ctx context.Context, env *bench.Env) error {
		return env.Run(ctx, "qemu-img", "create", "-q", "-f", "qcow2", emptyImage, "8T")
	}
	c.Goals = append(c.Goals, bench.Goal{Text: "time of any command, empty", Metric: result.Total, AtMost: emptyLimit})
	return c
}

func sequence(steps []step) []step {
	return append(steps,
		step{"ls", read("store", "ls", "-l", "--store", ourStore)},
		step{"check", read("store", "check", "--store", ourStore)})
}

// largeImage is what can be done with an image too large for a raw file.
func largeImage(image string) []step {
	return []step{
		{"info", read("info", "-f", "qcow2", "-o", "json", image)},
		{"map", read("map", "-f", "qcow2", "-o", "json", image)},
		{"digest", read("digest", "-f", "qcow2", "-o", "json", image)},
		{"convert", copyTo("$SCRATCH/out.qcow2", "convert", "-f", "qcow2", "-O", "qcow2", image)},
		{"import", importOf(image, "qcow2", "large")},
		{"export", copyTo("$SCRATCH/out.qcow2", "store", "export", "--store", ourStore, "-O", "qcow2", "large")},
	}
}

func realImages() []step {
	steps := []step{
		{"compare", read("compare", "-f", "qcow2", "-F", "raw", "$CORPUS/a-zlib.qcow2", "$CORPUS/a.raw")},
		{"digest", read("digest", "-f", "qcow2", "-o", "json", "$CORPUS/a-zstd-2M.qcow2")},
		{"map 512 B clusters", read("map", "-f", "qcow2", "-o", "json", "$CORPUS/a-512.qcow2")},
	}
	for _, image := range []struct{ name, file, format string }{
		{"2 MiB clusters", "a-2M.qcow2", "qcow2"},
		{"2 MiB zstd", "a-zstd-2M.qcow2", "qcow2"},
		{"512 B clusters", "a-512.qcow2", "qcow2"},
		{"stream VMDK", "a-stream.vmdk", "vmdk"},
	} {
		source, out := "$CORPUS/"+image.file, "$SCRATCH/out.raw"
		cmd := copyTo(out, "convert", "-f", image.format, "-O", "raw", source)
		cmd.Check = bench.SameFile(out, "$CORPUS/a.raw")
		steps = append(steps,
			step{"convert " + image.name, cmd},
			step{"import " + image.name, importOf(source, image.format, "a-"+strings.ToLower(slug(image.name)))})
	}
	return append(steps,
		step{"to zstd qcow2", copyTo("$SCRATCH/out.qcow2", "convert", "-f", "raw", "-O", "qcow2", "-c", "zstd", "$CORPUS/a.raw")},
		step{"to zstd, 2 MiB", copyTo("$SCRATCH/out.qcow2", "convert", "-f", "raw", "-O", "qcow2", "-c", "zstd", "--cluster-size", "2M", "$CORPUS/a.raw")},
		step{"to stream VMDK", copyTo("$SCRATCH/out.vmdk", "convert", "-f", "raw", "-O", "vmdk", "$CORPUS/a.raw")},
		step{"import random", importOf("$CORPUS/rnd8g.raw", "raw", "random")},
		step{"export", copyTo("$SCRATCH/out.raw", "store", "export", "--store", ourStore, "-O", "raw", "random")},
		step{"verify", read("store", "verify", "--store", ourStore)},
		step{"rm", read("store", "rm", "--store", ourStore, "random")},
		step{"gc", read("store", "gc", "--store", ourStore)},
		step{"rebuild-index", read("store", "rebuild-index", "--store", ourStore)},
		step{"check", read("store", "check", "--store", ourStore)},
	)
}

func read(args ...string) bench.Command { return bench.Command{Args: args} }

func copyTo(out string, args ...string) bench.Command {
	return bench.Command{Args: append(args, out), Writes: out}
}

func importOf(image, format, name string) bench.Command {
	return bench.Command{
		Args:   []string{"store", "import", "--store", ourStore, "-f", format, "--name", name, "-o", "json", image},
		Writes: ourStore, Grows: true,
	}
}
