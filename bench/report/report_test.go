package report_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/blockmill/blockmill/bench/report"
	"github.com/blockmill/blockmill/bench/result"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// example has everything that a page can show: goals met, missed and unknown,
// a missing peer, a failed sample, steps of one contender, Go's benchmarks.
func example() *result.Run {
	ptr := func(v float64) *float64 { return &v }
	sample := func(by, step string, cache result.Cache, round int, seconds float64) result.Sample {
		return result.Sample{Contender: by, Step: step, Cache: cache, Round: round, Values: map[result.Metric]float64{
			result.Total: seconds, result.Settle: seconds / 10, result.CPU: 1.5 * seconds,
			result.MaxRSS: 64 << 20, result.Read: 1 << 30, result.Output: 1 << 30,
		}}
	}
	r := &result.Run{
		Schema: result.Schema, Rounds: 3,
		Started:  time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
		Finished: time.Date(2026, 3, 1, 10, 30, 0, 0, time.UTC),
		Machine:  result.Machine{OS: "Debian", Kernel: "Linux 6.18", CPU: "A CPU", Cores: 2, Memory: 24 << 30, FileSystem: "ext4, 4 KiB blocks"},
		Programs: []result.Program{{Name: "blockmill", Version: "commit 0"}, {Name: "desync"}, {Name: "qemu-img", Version: "7.2"}},
	}
	convert := result.Case{
		Name: "convert/zlib-raw", Title: "zlib <qcow2> to raw", Shows: "How fast.", Metric: result.Total,
		Caches: []result.Cache{result.Cold, result.Warm}, Steps: []string{"convert"},
		Contenders: []result.Contender{
			{Name: "blockmill", Program: "blockmill", Ours: true, Commands: []result.Command{{Step: "convert", Line: "blockmill convert $CORPUS/a.qcow2"}}},
			{Name: "qemu-img direct", Program: "qemu-img", Commands: []result.Command{{Step: "convert", Line: "qemu-img convert"}}},
			{Name: "qemu-img cached", Program: "qemu-img", Commands: []result.Command{{Step: "convert", Line: "qemu-img convert"}}},
			{Name: "desync", Program: "desync", Missing: "not available here", Commands: []result.Command{{Step: "convert", Line: "desync"}}},
		},
		Goals: []result.Goal{
			{Text: "zlib", Cache: result.Cold, Step: "convert", Owed: 1.7, Versus: "qemu-img cached", Limit: 1.76, Value: ptr(2.31), Low: 2.1, High: 2.5, Met: true},
			{Text: "zlib", Cache: result.Warm, Step: "convert", Owed: 1.7, Versus: "qemu-img cached", Limit: 1.47, Value: ptr(1.2), Low: 1, High: 1.8},
		},
	}
	for round, d := range []float64{0, 0.1, 0.3} {
		convert.Samples = append(convert.Samples,
			sample("blockmill", "convert", result.Cold, round, 1.2+d), sample("qemu-img direct", "convert", result.Cold, round, 4+d),
			sample("qemu-img cached", "convert", result.Cold, round, 2.9+d), sample("blockmill", "convert", result.Warm, round, 2+d),
			sample("qemu-img direct", "convert", result.Warm, round, 3.7+d))
	}
	failed := sample("qemu-img cached", "convert", result.Warm, 0, 1)
	failed.Error = "wrong output: byte at 5 is 0x1, want 0x2"
	convert.Samples = append(convert.Samples, failed)

	memory := result.Case{
		Name: "memory/real", Title: "Peak memory", Shows: "Every command.", Metric: result.MaxRSS,
		Caches: []result.Cache{result.Warm}, Steps: []string{"info", "convert"},
		Contenders: []result.Contender{{Name: "blockmill", Program: "blockmill", Ours: true}},
		Samples:    []result.Sample{sample("blockmill", "info", result.Warm, 0, 0.01), sample("blockmill", "convert", result.Warm, 0, 1)},
		Goals: []result.Goal{
			{Text: "peak memory", Cache: result.Warm, Owed: 256 << 20, AtMost: true, Unit: result.MaxRSS, Limit: 256 << 20, Value: ptr(64 << 20), Low: 64 << 20, High: 64 << 20, Met: true},
		},
	}
	absent := result.Case{
		Name: "dedup", Title: "Bytes on disk", Shows: "What a store occupies.", Metric: result.Output,
		Caches: []result.Cache{result.Warm}, Steps: []string{"first"},
		Contenders: []result.Contender{{Name: "blockmill", Program: "blockmill", Ours: true, Missing: "the corpus has no a.raw"}},
		Goals:      []result.Goal{{Text: "new bytes", Cache: result.Warm, Step: "first", Owed: 1.25, AtMost: true, Reason: "no samples"}},
	}
	micro := result.Case{
		Name: "micro", Title: "Hot paths", Shows: "Benchmarks.", Caches: []result.Cache{result.Warm}, Steps: []string{"run"},
		Text: "pkg: example.org/zero\nBenchmarkZero-2  100  2000 ns/op  32000.00 MB/s  0 B/op  0 allocs/op\nBenchmarkZero-2  100  2200 ns/op  30000.00 MB/s  0 B/op  0 allocs/op\nPASS\n",
	}
	scale := result.Case{
		Name: "scale/chunks", Title: "Cost as a store grows", Shows: "Two acts at three sizes.", Metric: result.Total,
		Caches: []result.Cache{result.Warm}, Steps: []string{"import @ 1000 chunks", "import @ 10000 chunks", "export @ 1000 chunks", "export @ 10000 chunks"},
		Contenders: []result.Contender{{Name: "blockmill", Program: "blockmill", Ours: true}},
	}
	for i, step := range scale.Steps {
		scale.Samples = append(scale.Samples,
			sample("blockmill", step, result.Warm, 0, 0.1*float64(i+1)), sample("blockmill", step, result.Warm, 1, 0.13*float64(i+1)))
	}
	r.Cases = []result.Case{convert, memory, absent, micro, scale}
	return r
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestHTML(t *testing.T) {
	var b bytes.Buffer
	if err := report.HTML(&b, example()); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.html", b.Bytes())

	if external := regexp.MustCompile(`(src|href)\s*=|url\(|@import|https?://`).FindString(b.String()); external != "" {
		t.Errorf("the page refers to something outside itself: %q", external)
	}
	if strings.Contains(b.String(), "<qcow2>") {
		t.Error("a title is not escaped")
	}
	if strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
		t.Error("a coordinate is no number")
	}
}

// Of a run that was ended early some have samples, others none, in any order.
func TestHTMLOfAnUnfinishedRun(t *testing.T) {
	whole := example()
	for n := range whole.Cases[0].Samples {
		for _, first := range []bool{true, false} {
			r := example()
			if c := &r.Cases[0]; first {
				c.Samples = c.Samples[:n]
			} else {
				c.Samples = c.Samples[n:]
			}
			var b bytes.Buffer
			if err := report.HTML(&b, r); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(b.String(), "NaN") {
				t.Errorf("first %v of %d: a coordinate is no number", first, n)
			}
		}
	}
}

func TestHTMLOfNothing(t *testing.T) {
	var b bytes.Buffer
	if err := report.HTML(&b, &result.Run{}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(b.String(), "</html>\n") {
		t.Error("the page is cut short")
	}
}

func TestBenchstat(t *testing.T) {
	var b bytes.Buffer
	if err := report.Benchstat(&b, example()); err != nil {
		t.Fatal(err)
	}
	golden(t, "results.txt", b.Bytes())
	line := regexp.MustCompile(`^(Benchmark\S+ 1( \d+ \S+)+|[a-z-]+: .+)$`)
	for l := range strings.Lines(b.String()) {
		if !line.MatchString(strings.TrimSuffix(l, "\n")) {
			t.Errorf("not in Go's benchmark format: %q", l)
		}
	}
}

func TestMarkdown(t *testing.T) {
	var b bytes.Buffer
	if err := report.Markdown(&b, example()); err != nil {
		t.Fatal(err)
	}
	golden(t, "results.md", b.Bytes())
}

func TestCompare(t *testing.T) {
	before, after := example(), example()
	for i := range after.Cases[0].Samples {
		after.Cases[0].Samples[i].Values[result.Total] /= 2
	}
	// Five samples a side, all of them apart, are needed for significance.
	for _, r := range []*result.Run{before, after} {
		c := &r.Cases[0]
		for _, s := range c.Samples {
			if s.Contender == "blockmill" && s.Cache == result.Cold && s.Round < 2 {
				s.Round += 3
				c.Samples = append(c.Samples, s)
			}
		}
	}
	after.Machine.Cores = 4
	var b bytes.Buffer
	if err := report.Compare(&b, before, after); err != nil {
		t.Fatal(err)
	}
	golden(t, "compare.txt", b.Bytes())
}
