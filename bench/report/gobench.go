package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/blockmill/blockmill/bench/stats"
)

// goBenchmark is what Go's benchmarks printed of one name, over all its runs.
type goBenchmark struct {
	Package, Name string
	values        map[string][]float64 // by unit
}

// parseGoBench reads Go's benchmark format and keeps the order.
func parseGoBench(text string) []goBenchmark {
	var out []goBenchmark
	var pkg string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 2 && fields[0] == "pkg:" {
			pkg = fields[1]
		}
		if len(fields) < 4 || len(fields)%2 != 0 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		i := slices.IndexFunc(out, func(b goBenchmark) bool { return b.Package == pkg && b.Name == name })
		if i < 0 {
			i = len(out)
			out = append(out, goBenchmark{Package: pkg, Name: name, values: make(map[string][]float64)})
		}
		for j := 2; j < len(fields); j += 2 {
			if v, err := strconv.ParseFloat(fields[j], 64); err == nil {
				out[i].values[fields[j+1]] = append(out[i].values[fields[j+1]], v)
			}
		}
	}
	return out
}

// Time, Speed and Allocs are medians as the page shows them; "" without any.
func (b goBenchmark) Time() string {
	xs := b.values["ns/op"]
	if len(xs) == 0 {
		return ""
	}
	s := stats.Summarize(xs)
	spread := 0.0
	if s.Median > 0 {
		spread = (s.Max - s.Min) / 2 / s.Median * 100
	}
	return fmt.Sprintf("%s ± %.0f %%", nanoseconds(s.Median), spread)
}

func (b goBenchmark) Speed() string {
	if xs := b.values["MB/s"]; len(xs) > 0 {
		return fmt.Sprintf("%.2f GB/s", stats.Median(xs)/1e3)
	}
	return ""
}

func (b goBenchmark) Allocs() string {
	if xs := b.values["allocs/op"]; len(xs) > 0 {
		return strconv.FormatFloat(stats.Median(xs), 'f', -1, 64)
	}
	return ""
}

func nanoseconds(v float64) string {
	switch {
	case v >= 1e9:
		return fmt.Sprintf("%.2f s", v/1e9)
	case v >= 1e6:
		return fmt.Sprintf("%.3g ms", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%.3g µs", v/1e3)
	default:
		return fmt.Sprintf("%.3g ns", v)
	}
}
