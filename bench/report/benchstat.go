package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/blockmill/blockmill/bench/result"
)

// benchUnits are the metrics that benchstat text carries, under the units that
// benchstat knows how to scale.
var benchUnits = []struct {
	metric result.Metric
	unit   string
	factor float64
}{
	{result.Total, "ns/op", 1e9},
	{result.CPU, "cpu-ns/op", 1e9},
	{result.MaxRSS, "rss-bytes", 1},
	{result.Read, "read-bytes", 1},
	{result.Written, "written-bytes", 1},
	{result.Output, "output-bytes", 1},
	{result.NewBytes, "new-bytes", 1},
}

// Benchstat writes every sample that succeeded as a line of Go's benchmark
// format. Use it as in: benchstat -col /by results.txt.
func Benchstat(w io.Writer, r *result.Run) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "goos: linux\ncpu: %s\ncores: %d\nkernel: %s\nfilesystem: %s\n",
		r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.FileSystem)
	for _, p := range r.Programs {
		if p.Version != "" {
			fmt.Fprintf(b, "version-%s: %s\n", p.Name, p.Version)
		}
	}
	for _, c := range r.Cases {
		for _, s := range c.Samples {
			if s.Error == "" {
				benchLine(b, c.Name, s)
			}
		}
	}
	return b.Flush()
}

func benchLine(b *bufio.Writer, name string, s result.Sample) {
	kind, what, _ := strings.Cut(name, "/")
	fmt.Fprintf(b, "Benchmark%s%s", strings.ToUpper(kind[:1]), kind[1:])
	if what != "" {
		fmt.Fprintf(b, "/case=%s", what)
	}
	fmt.Fprintf(b, "/step=%s/cache=%s/by=%s 1", word(s.Step), s.Cache, word(s.Contender))
	for _, u := range benchUnits {
		if v, ok := s.Values[u.metric]; ok {
			fmt.Fprintf(b, " %.0f %s", v*u.factor, u.unit)
		}
	}
	fmt.Fprintln(b)
}

// word is a name without what separates the parts of a benchmark's name.
func word(s string) string {
	return strings.NewReplacer(" ", "_", "/", "_", "-", "_").Replace(s)
}
