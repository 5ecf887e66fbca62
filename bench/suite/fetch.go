package suite

import (
	"slices"
	"strings"

	"github.com/blockmill/blockmill/bench"
	"github.com/blockmill/blockmill/bench/result"
)

// Steps and contenders of the cases on sources by URL.
const (
	fetchStep   = "import"
	atOnceStep  = "16 at once"
	inARowStep  = "in a row"
	oursOfFile  = bench.Ours + " from the file"
	curlDirect  = "curl, " + qemuDirect
	curlCached  = "curl, " + qemuCached
	curlNothing = "curl to nothing"
)

const (
	importTime result.Metric = "import_seconds"
	daemonRSS  result.Metric = "daemon_max_rss_bytes"

	// daemonLimit is the most memory of a daemon, whatever it does.
	daemonLimit = 512 << 20
)

// fetchCases ask what an import from a URL takes, beside one of the same file and
// beside what else there is to do: to keep the file first. The server is on the
// same machine, so that it has a share of the processors.
func fetchCases() []bench.Case {
	const sparse = " The holes of the file are zeros on the way: no reader can be faster than curl, that keeps nothing."
	cases := []bench.Case{
		fetchCase(fetched{name: "zlib", what: "a zlib-compressed qcow2", image: "a-zlib.qcow2", format: "qcow2", owedFile: 0.9, owedCurl: 2}),
		fetchCase(fetched{name: "qcow2", what: "a qcow2", image: "a.qcow2", format: "qcow2", owedFile: 0.9, owedCurl: 1}),
		fetchCase(fetched{name: "vmdk", what: "a VMDK streamOptimized", image: "a-stream.vmdk", format: "vmdk", owedFile: 0.9, owedCurl: 1}),
		fetchCase(fetched{name: "raw", what: "a sparse raw image", note: sparse, image: "a.raw", format: "raw", owedFile: 0.9, owedCurl: 1}),
	}
	return append(cases, fetchMany())
}

// fetched is an image that is imported from a URL.
type fetched struct {
	name, what    string // of the case; in its title
	note          string // after what it shows
	image, format string

	// What is owed against an import of the file, and against curl and qemu-img.
	owedFile, owedCurl float64
}

func fetchCase(f fetched) bench.Case {
	one := func(out string, grows bool, args ...string) map[string]bench.Command {
		return map[string]bench.Command{fetchStep: {
			Args: args, Reads: []string{"$CORPUS/" + f.image}, Writes: out, Grows: grows, Serves: "$CORPUS",
		}}
	}
	ours := func(name, source string, flags ...string) bench.Contender {
		args := slices.Concat([]string{"store", "import", "--store", ourStore, "-f", f.format, "-o", "json"}, flags, []string{source})
		return bench.Contender{
			Name: name, Program: bench.Ours, Setup: [][]string{{"store", "init", "--store", ourStore}},
			Steps: one(ourStore, true, args...),
		}
	}
	url := "$SERVER/" + f.image
	kept := func(name string, flags []string) bench.Contender {
		out := "$SCRATCH/out"
		steps := one(out, false, "-ec", strings.Join([]string{
			"mkdir out", "curl -sSf -o out/fetched " + url,
			"qemu-img convert -f " + f.format + " " + strings.Join(flags, " ") + " -O raw out/fetched out/out.raw", "rm out/fetched",
		}, "; "))
		cmd := steps[fetchStep]
		cmd.Check = bench.SameFile(out+"/out.raw", "$CORPUS/a.raw")
		steps[fetchStep] = cmd
		return bench.Contender{Name: name, Program: "sh", Steps: steps}
	}
	return bench.Case{
		Name: "fetch/" + f.name, Title: "Import of " + f.what + " over HTTP",
		Shows:  "From a server on loopback, in ranges, beside an import of the file, and curl to a file that qemu-img converts to raw." + f.note,
		Metric: result.Total, Caches: bothCaches, Steps: []string{fetchStep},
		Needs: []string{f.image, "a.raw"},
		Contenders: []bench.Contender{
			ours(bench.Ours, url, "--fetch-allow-http", "--fetch-allow", "127.0.0.0/8"),
			ours(oursOfFile, "$CORPUS/"+f.image),
			kept(curlDirect, directFlags), kept(curlCached, cachedFlags),
			{Name: curlNothing, Program: "curl", Steps: one("", false, "-sSf", "-o", "/dev/null", url)},
		},
		Goals: []bench.Goal{
			{Text: "import of " + f.what + " over HTTP, against the file", Step: fetchStep, Metric: result.Total, Versus: []string{oursOfFile}, AtLeast: f.owedFile},
			{Text: "import of " + f.what + " over HTTP, against curl and qemu-img", Step: fetchStep, Metric: result.Total, Versus: []string{curlDirect, curlCached}, AtLeast: f.owedCurl},
		},
	}
}

// fetchMany asks what many imports at once take. They run in a daemon that
// blockbench starts, and each image has to have the digest of its source.
func fetchMany() bench.Case {
	once := []string{
		"a.raw", "b.raw", "c.raw", "a.qcow2", "a-zlib.qcow2", "a-zstd.qcow2", "a-stream.vmdk", "a-2M.qcow2", "a-512.qcow2", "a-zstd-2M.qcow2",
	}
	images := slices.Concat(once, once[:3], once[4:7])
	paths := make([]string, len(images))
	for i, image := range images {
		paths[i] = "$CORPUS/" + image
	}
	imports := func(atOnce string) bench.Command {
		return bench.Command{
			Args:  slices.Concat([]string{"import", "--start", "$SCRATCH/data", "--at-once", atOnce, "-o", "json"}, paths),
			Reads: paths, Writes: "$SCRATCH/data",
		}
	}
	return bench.Case{
		Name: "fetch/many", Title: "Sixteen imports over HTTP",
		Shows: "Files of three systems in all formats, six of them twice, into one daemon: at once, and one after another. Each image has " +
			"the digest of its file.",
		Metric: importTime, Caches: []result.Cache{result.Warm}, Steps: []string{atOnceStep, inARowStep},
		Needs: once, MaxRounds: 3,
		Contenders: []bench.Contender{{
			Name: bench.Ours, Program: "blockbench",
			Steps: map[string]bench.Command{atOnceStep: imports("16"), inARowStep: imports("1")},
		}},
		Goals: []bench.Goal{
			{Text: "memory of the daemon, 16 imports at once", Step: atOnceStep, Metric: daemonRSS, AtMost: daemonLimit},
			{Text: "16 imports at once, against one after another", Step: atOnceStep, Metric: importTime, Versus: []string{bench.Ours}, VersusStep: inARowStep, AtLeast: 1},
		},
	}
}
