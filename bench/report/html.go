package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/blockmill/blockmill/bench/result"
)

//go:embed page.html.tmpl
var pageSource string

//go:embed page.css
var pageStyle string

var page = template.Must(template.New("page").Parse(pageSource))

// pageData is what the template shows.
type pageData struct {
	Style    template.CSS
	Title    string
	When     string
	Machine  []fact
	Tiles    []fact
	Overview template.HTML
	Programs []result.Program
	Cases    []caseData
}

type fact struct{ Name, Value string }

type caseData struct {
	result.Case
	Anchor     string
	Verdicts   []verdict
	Chart      template.HTML
	Benchmarks []goBenchmark
	Rows       []sampleRow
}

// verdict is a goal in words.
type verdict struct {
	Class, Mark, Text, Value, Owed string
}

type sampleRow struct {
	Step, Cache, Contender, Round string
	Cells                         []string
	Error                         string
}

// HTML writes the page.
func HTML(w io.Writer, r *result.Run) error {
	data := pageData{
		Style:    template.CSS(pageStyle),
		Title:    "Blockmill beside its peers",
		When:     r.Started.Format("2 January 2006, 15:04 MST"),
		Programs: r.Programs,
		Machine: []fact{
			{"CPU", fmt.Sprintf("%s, %d cores", r.Machine.CPU, r.Machine.Cores)},
			{"Memory", result.MaxRSS.Format(float64(r.Machine.Memory))},
			{"System", strings.Join(nonEmpty(r.Machine.OS, r.Machine.Kernel), ", ")},
			{"File system", r.Machine.FileSystem},
		},
		Overview: overview(r),
	}
	data.Tiles = tiles(r)
	for _, c := range r.Cases {
		data.Cases = append(data.Cases, newCaseData(c))
	}
	return page.Execute(w, data)
}

func nonEmpty(words ...string) []string {
	var out []string
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}

func tiles(r *result.Run) []fact {
	var met, judged, samples, failed int
	for _, c := range r.Cases {
		for _, g := range c.Goals {
			if g.Value != nil || strings.Contains(g.Reason, "failed") {
				judged++
			}
			if g.Met {
				met++
			}
		}
		samples += len(c.Samples)
		failed += len(c.Failures())
	}
	var out []fact
	if judged > 0 {
		out = append(out, fact{"goals met", fmt.Sprintf("%d of %d", met, judged)})
	}
	out = append(out, fact{"rounds, in turn", fmt.Sprint(r.Rounds)}, fact{"measurements", fmt.Sprint(samples)})
	if failed > 0 {
		out = append(out, fact{"of them failed", fmt.Sprint(failed)})
	}
	return out
}

func newCaseData(c result.Case) caseData {
	d := caseData{
		Case: c, Anchor: strings.ReplaceAll(c.Name, "/", "-"),
		Chart: caseChart(&c), Benchmarks: parseGoBench(c.Text),
	}
	for _, g := range c.Goals {
		d.Verdicts = append(d.Verdicts, newVerdict(c, g))
	}
	for _, s := range c.Samples {
		row := sampleRow{s.Step, string(s.Cache), s.Contender, fmt.Sprint(s.Round + 1), nil, s.Error}
		for _, m := range sampleColumns() {
			cell := ""
			if v, ok := s.Values[m]; ok {
				cell = m.Format(v)
			}
			row.Cells = append(row.Cells, cell)
		}
		d.Rows = append(d.Rows, row)
	}
	return d
}

// sampleColumns are the metrics of the table of samples.
func sampleColumns() []result.Metric {
	return []result.Metric{
		result.Total, result.Settle, result.CPU, result.Others, result.MaxRSS,
		result.Read, result.Written, result.Output, result.NewBytes,
	}
}

// Columns heads the table of samples.
func (caseData) Columns() []string {
	return []string{"on disk after", "of it sync", "CPU", "CPU of others", "peak memory", "read", "written", "output", "new bytes"}
}

// Available reports whether any contender of the case ran.
func (d caseData) Available() bool { return len(d.Samples) > 0 }

func newVerdict(c result.Case, g result.Goal) verdict {
	sign := "≥"
	if g.AtMost {
		sign = "≤"
	}
	v := verdict{
		Class: "unknown", Mark: "–", Text: g.Text, Value: g.Reason,
		Owed: sign + " " + g.Unit.Format(g.Owed),
	}
	if len(c.Caches) > 1 {
		v.Text += ", " + string(g.Cache)
	}
	if g.Value == nil {
		return v
	}
	v.Value = g.Unit.Format(*g.Value)
	if g.Versus != "" && g.Versus != c.Ours() {
		v.Value += " (" + g.Versus + ")"
	}
	v.Class, v.Mark = "missed", "✗"
	if g.Met {
		v.Class, v.Mark = "met", "✓"
	}
	return v
}
