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
		fetchCase("zlib", "a zlib-compressed qcow2", "", "a-zlib.qcow2", "qcow2", 0.9, 2),
		fetchCase("qcow2", "a qcow2", "", "a.qcow2", "qcow2", 0.9, 1),
		fetchCase("vmdk", "a VMDK streamOptimized", "", "a-stream.vmdk", "vmdk", 0.9, 1),
		fetchCase("raw", "a sparse raw image", sparse, "a.raw", "raw", 0.9, 1),
	}
	return append(cases, fetchMany())
}

func fetchCase(name, what, note, image, format string, owedFile, owedCurl float64) bench.Case {
	one := func(out string, grows bool, args ...string) map[string]bench.Command {
		return map[string]bench.Command{fetchStep: {
			Args: args, Reads: []string{"$CORPUS/" + image}, Writes: out, Grows: grows, Serves: "$CORPUS",
		}}
	}
	ours := func(name, source string, flags ...string) bench.Contender {
		args := slices.Concat([]string{"store", "import", "--store", ourStore, "-f", format, "-o", "json"}, flags, []string{source})
		return bench.Contender{
			Name: name, Program: bench.Ours, Setup: [][]string{{"store", "init", "--store", ourStore}},
			Steps: one(ourStore, true, args...),
		}
	}
	url := "$SERVER/" + image
	kept := func(name string, flags []string) bench.Contender {
		out := "$SCRATCH/out"
		steps := one(out, false, "-ec", strings.Join([]string{
			"mkdir out", "curl -sSf -o out/fetched " + url,
			"qemu-img convert -f " + format + " " + strings.Join(flags, " ") + " -O raw out/fetched out/out.raw", "rm out/fetched",
		}, "; "))
		cmd := steps[fetchStep]
		cmd.Check = bench.SameFile(out+"/out.raw", "$CORPUS/a.raw")
		steps[fetchStep] = cmd
		return bench.Contender{Name: name, Program: "sh", Steps: steps}
	}
	return bench.Case{
		Name: "fetch/" + name, Title: "Import of " + what + " over HTTP",
		Shows:  "From a server on loopback, in ranges, beside an import of the file, and curl to a file that qemu-img converts to raw." + note,
		Metric: result.Total, Caches: bothCaches, Steps: []string{fetchStep},
		Needs: []string{image, "a.raw"},
		Contenders: []bench.Contender{
			ours(bench.Ours, url, "--fetch-allow-http", "--fetch-allow", "127.0.0.0/8"),
			ours(oursOfFile, "$CORPUS/"+image),
			kept(curlDirect, directFlags), kept(curlCached, cachedFlags),
			{Name: curlNothing, Program: "curl", Steps: one("", false, "-sSf", "-o", "/dev/null", url)},
		},
		Goals: []bench.Goal{
			{Text: "import of " + what + " over HTTP, against the file", Step: fetchStep, Metric: result.Total, Versus: []string{oursOfFile}, AtLeast: owedFile},
			{Text: "import of " + what + " over HTTP, against curl and qemu-img", Step: fetchStep, Metric: result.Total, Versus: []string{curlDirect, curlCached}, AtLeast: owedCurl},
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
