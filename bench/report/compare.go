package report

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/blockmill/blockmill/bench/result"
	"github.com/blockmill/blockmill/bench/stats"
)

// significant is the p-value below which a difference is shown as one.
const significant = 0.05

// Compare writes a table of what both runs measured: medians, their ratio, and
// whether the difference is more than chance (Mann–Whitney, two-sided). Runs
// of different machines are compared all the same, with a warning.
func Compare(w io.Writer, before, after *result.Run) error {
	if before.Machine != after.Machine {
		fmt.Fprintf(w, "The machines differ: %s before, %s after.\n\n", machineLine(before.Machine), machineLine(after.Machine))
	}
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "CASE\tSTEP\tCACHE\tBY\tMETRIC\tOLD\tNEW\tNEW/OLD\tP")
	for _, c := range after.Cases {
		if old := before.Find(c.Name); old != nil {
			compareCase(table, old, &c)
		}
	}
	return table.Flush()
}

func compareCase(w io.Writer, before, after *result.Case) {
	metrics := []result.Metric{after.Metric}
	for _, m := range []result.Metric{result.CPU, result.MaxRSS, result.Output} {
		if m != after.Metric {
			metrics = append(metrics, m)
		}
	}
	for _, step := range after.Steps {
		for _, cache := range after.Caches {
			for _, contender := range after.Contenders {
				for _, m := range metrics {
					a := before.Select(contender.Name, step, cache, m)
					b := after.Select(contender.Name, step, cache, m)
					if len(a) > 0 && len(b) > 0 {
						fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", after.Name, step, cache, contender.Name, m, difference(m, a, b))
					}
				}
			}
		}
	}
}

// difference is the last four columns.
func difference(m result.Metric, before, after []float64) string {
	a, b := stats.Median(before), stats.Median(after)
	ratio := "~"
	p := stats.RankTest(before, after)
	if p < significant && a > 0 {
		ratio = fmt.Sprintf("%.2f", b/a)
	}
	return fmt.Sprintf("%s\t%s\t%s\t%.3f (n=%d+%d)", m.Format(a), m.Format(b), ratio, p, len(before), len(after))
}

func machineLine(m result.Machine) string {
	return fmt.Sprintf("%s, %d cores, %s, %s, %s", m.CPU, m.Cores, result.MaxRSS.Format(float64(m.Memory)), m.Kernel, m.FileSystem)
}
