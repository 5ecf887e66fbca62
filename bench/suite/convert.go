package suite

import (
	"slices"

	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/result"
)

// conversion is a case of one image made into another, by us and by qemu-img
// in both its cache modes.
type conversion struct {
	name, title, shows string
	source, from       string // file in the corpus, format
	to                 string // format
	ours, theirs       []string
	owed               float64 // 0: for information
	maxRounds          int     // of a slow one; 0: no bound
	more               []bench.Contender
}

const convertStep = "convert"

// The two ways to run qemu-img; the better one counts. Many requests at a
// time and out of order (-m 8 -W) are faster in both.
const (
	qemuDirect = "qemu-img direct"
	qemuCached = "qemu-img cached"
)

var (
	bothCaches   = []result.Cache{result.Cold, result.Warm}
	directFlags  = []string{"-t", "none", "-T", "none", "-m", "8", "-W"}
	cachedFlags  = []string{"-m", "8", "-W"}
	streamFlags  = []string{"-o", "subformat=streamOptimized"}
	qemuVariants = []string{qemuDirect, qemuCached}
)

func convertCases() []bench.Case {
	conversions := []conversion{
		{
			name: "qcow2-raw", title: "qcow2 to raw",
			shows:  "Uncompressed clusters: the disk and the page cache are the limit.",
			source: "a.qcow2", from: "qcow2", to: "raw", owed: 1.0,
			more: []bench.Contender{nbdcopy},
		},
		{
			name: "zlib-raw", title: "zlib-compressed qcow2 to raw",
			shows:  "How fast deflate streams are decoded, on all cores.",
			source: "a-zlib.qcow2", from: "qcow2", to: "raw", owed: 1.7,
		},
		{
			name: "zstd-raw", title: "zstd-compressed qcow2 to raw",
			shows:  "How fast zstd frames are decoded, on all cores.",
			source: "a-zstd.qcow2", from: "qcow2", to: "raw", owed: 1.5,
		},
		{
			name: "vmdk-raw", title: "VMDK streamOptimized to raw",
			shows:  "The format in which virtual machines are exported: deflated grains behind markers.",
			source: "a-stream.vmdk", from: "vmdk", to: "raw", owed: 3,
		},
		{
			name: "raw-zstd", title: "raw to zstd-compressed qcow2",
			shows:  "How fast clusters are compressed and laid down.",
			source: "a.raw", from: "raw", to: "qcow2", owed: 1.0,
			ours: []string{"-c", "zstd"}, theirs: []string{"-c", "-o", "compression_type=zstd"},
		},
		{
			name: "raw-raw", title: "raw to raw",
			shows:  "Holes are kept and the rest is moved.",
			source: "a.raw", from: "raw", to: "raw", more: []bench.Contender{cpSparse},
		},
		{
			name: "raw-qcow2", title: "raw to qcow2",
			shows:  "Uncompressed clusters, allocated as they come.",
			source: "a.raw", from: "raw", to: "qcow2",
		},
		{
			name: "qcow2-vmdk", title: "qcow2 to VMDK streamOptimized",
			shows:  "Deflate on all cores, for images that go to other systems.",
			source: "a.qcow2", from: "qcow2", to: "vmdk",
			theirs: streamFlags, maxRounds: 1,
		},
		{
			name: "raw-vmdk", title: "raw to VMDK streamOptimized",
			shows:  "The same from a disk that has no format.",
			source: "a.raw", from: "raw", to: "vmdk", theirs: streamFlags, maxRounds: 1,
		},
		{
			name: "vmdk-vmdk", title: "VMDK to VMDK streamOptimized",
			shows:  "Inflated, and deflated again.",
			source: "a-stream.vmdk", from: "vmdk", to: "vmdk", theirs: streamFlags, maxRounds: 1,
		},
		{
			name: "vmdk-qcow2", title: "VMDK streamOptimized to qcow2",
			shows:  "What comes from other systems, made into what QEMU likes.",
			source: "a-stream.vmdk", from: "vmdk", to: "qcow2",
		},
		{
			name: "qcow2-qcow2", title: "qcow2 to qcow2",
			shows:  "Clusters laid down in the guest's order, without what was left behind.",
			source: "a.qcow2", from: "qcow2", to: "qcow2",
		},
		{
			name: "raw-zlib", title: "raw to zlib-compressed qcow2",
			shows:  "Deflate of 64 KiB clusters, on all cores.",
			source: "a.raw", from: "raw", to: "qcow2",
			ours: []string{"-c", "zlib"}, theirs: []string{"-c"}, maxRounds: 1,
		},
	}
	cases := make([]bench.Case, len(conversions))
	for i, c := range conversions {
		cases[i] = c.bench()
	}
	return cases
}

func (c conversion) bench() bench.Case {
	source, out := "$CORPUS/"+c.source, "$SCRATCH/out."+c.to
	check := bench.SameGuest(out, c.to, "$CORPUS/a.raw")
	if c.to == "raw" {
		check = bench.SameFile(out, "$CORPUS/a.raw")
	}
	one := func(args ...[]string) map[string]bench.Command {
		return map[string]bench.Command{convertStep: {
			Args:  append(slices.Concat(args...), source, out),
			Reads: []string{source}, Writes: out, Check: check,
		}}
	}
	contenders := []bench.Contender{
		{
			Name: bench.Ours, Program: bench.Ours,
			Steps: one([]string{"convert", "-f", c.from, "-O", c.to}, c.ours),
		},
		{
			Name: qemuDirect, Program: "qemu-img",
			Steps: one([]string{"convert", "-f", c.from, "-O", c.to}, directFlags, c.theirs),
		},
		{
			Name: qemuCached, Program: "qemu-img",
			Steps: one([]string{"convert", "-f", c.from, "-O", c.to}, cachedFlags, c.theirs),
		},
	}
	var goals []bench.Goal
	if c.owed > 0 {
		goals = []bench.Goal{{
			Text: c.title + ", against qemu-img", Step: convertStep, Metric: result.Total,
			Versus: qemuVariants, AtLeast: c.owed,
		}}
	}
	return bench.Case{
		Name: "convert/" + c.name, Title: c.title, Shows: c.shows, Metric: result.Total,
		Caches: bothCaches, Steps: []string{convertStep}, MaxRounds: c.maxRounds,
		Needs:      []string{c.source, "a.raw"},
		Contenders: append(contenders, c.more...), Goals: goals,
	}
}

// nbdcopy reads through a qemu-nbd that it starts itself.
var nbdcopy = bench.Contender{
	Name: "nbdcopy from qemu-nbd", Program: "nbdcopy",
	Steps: map[string]bench.Command{convertStep: {
		Args:  []string{"--", "[", "qemu-nbd", "-r", "-f", "qcow2", "$CORPUS/a.qcow2", "]", "$SCRATCH/out.raw"},
		Reads: []string{"$CORPUS/a.qcow2"}, Writes: "$SCRATCH/out.raw",
		Check: bench.SameFile("$SCRATCH/out.raw", "$CORPUS/a.raw"),
	}},
}

var cpSparse = bench.Contender{
	Name: "cp --sparse", Program: "cp",
	Steps: map[string]bench.Command{convertStep: {
		Args:  []string{"--sparse=always", "--reflink=never", "$CORPUS/a.raw", "$SCRATCH/out.raw"},
		Reads: []string{"$CORPUS/a.raw"}, Writes: "$SCRATCH/out.raw",
		Check: bench.SameFile("$SCRATCH/out.raw", "$CORPUS/a.raw"),
	}},
}
