package report

import (
	"fmt"
	"html/template"
	"math"

	"github.com/blockmill/blockmill/bench/result"
	"github.com/blockmill/blockmill/bench/stats"
)

// Measures of a case's chart, in the units of its viewBox.
const (
	chartWidth  = 880.0
	labelWidth  = 190.0 // left of the bars
	valueWidth  = 250.0 // right of them
	barsWidth   = chartWidth - labelWidth - valueWidth
	rowHeight   = 27.0
	barHeight   = 15.0
	groupHeight = 36.0 // of a group's heading
	groupGap    = 10.0
)

// bar is a row of a chart.
type bar struct {
	label   string
	class   string // ours, best, peer, gone
	values  []float64
	summary stats.Summary
	more    string // beside the value
	note    string // instead of a bar
}

// group is the rows that answer one question together.
type group struct {
	title string
	bars  []bar
	limit float64 // 0 for none
	owed  string
	scale float64 // the value at the right end of the bars
}

// caseChart draws the plotted metric of a case: a bar to the median, a whisker
// from the least to the greatest sample, a dot for each, and the line that is
// owed.
func caseChart(c *result.Case) template.HTML {
	if one := soleContender(c); one != nil {
		if all, unit := curves(c, one); len(all) > 0 {
			return curveChart(c, all, unit)
		}
	}
	groups := chartGroups(c)
	if len(groups) == 0 {
		return ""
	}
	s := &svg{width: chartWidth, label: c.Title + ": a bar for each program"}
	y := 0.0
	for _, g := range groups {
		s.text("group", "start", 0, y+22, g.title)
		top := y + groupHeight
		for i, b := range g.bars {
			drawBar(s, b, c.Metric, g.scale, top+float64(i)*rowHeight)
		}
		bottom := top + float64(len(g.bars))*rowHeight
		if g.limit > 0 {
			drawLimit(s, g, top, bottom)
		}
		y = bottom + groupGap
	}
	s.height = y
	return s.html()
}

func drawBar(s *svg, b bar, m result.Metric, scale, y float64) {
	middle := y + rowHeight/2
	s.text("label "+b.class, "end", labelWidth-12, middle+4.5, b.label)
	in := box{labelWidth, middle - barHeight/2, barsWidth, barHeight}
	s.rect("track", in, "")
	if b.note != "" {
		s.text("note", "start", labelWidth+8, middle+4.5, b.note)
		return
	}
	at := func(v float64) float64 { return labelWidth + v/scale*barsWidth }
	in.width = max(2, at(b.summary.Median)-labelWidth)
	s.rect("bar "+b.class, in,
		fmt.Sprintf("%s: median %s of %d, %s to %s", b.label, m.Format(b.summary.Median), b.summary.N, m.Format(b.summary.Min), m.Format(b.summary.Max)))
	if b.summary.N > 1 {
		s.line("whisker", at(b.summary.Min), middle, at(b.summary.Max), middle)
		for _, v := range b.values {
			s.dot("sample", at(v), middle, 2.6, m.Format(v))
		}
	}
	s.value(b.class, labelWidth+barsWidth+12, middle+4.5, m.Format(b.summary.Median), b.more)
}

func drawLimit(s *svg, g group, top, bottom float64) {
	x := labelWidth + min(1, g.limit/g.scale)*barsWidth
	s.line("owed", x, top-5, x, bottom)
	anchor := "middle"
	if x > labelWidth+barsWidth-60 {
		anchor = "end"
	} else if x < labelWidth+60 {
		anchor = "start"
	}
	s.text("owed", anchor, x, top-10, g.owed)
}

// chartGroups are one for each step and cache state; when one contender alone
// has samples, its steps are the rows of one group.
func chartGroups(c *result.Case) []group {
	if c.Metric == "" || len(c.Samples) == 0 {
		return nil
	}
	if one := soleContender(c); one != nil && len(c.Contenders) == 1 {
		return []group{stepsGroup(c, one)}
	}
	var groups []group
	for _, step := range c.Steps {
		scale := 0.0
		first := len(groups)
		for _, cache := range c.Caches {
			g := group{title: groupTitle(c, step, cache), bars: chartBars(c, step, cache)}
			g.limit, g.owed = limitOf(c, step, cache)
			for _, b := range g.bars {
				scale = max(scale, b.summary.Max)
			}
			if len(g.bars) > 0 {
				groups = append(groups, g)
			}
		}
		for i := range groups[first:] {
			groups[first+i].scale = niceScale(scale)
		}
	}
	return groups
}

func groupTitle(c *result.Case, step string, cache result.Cache) string {
	switch {
	case len(c.Steps) == 1 && len(c.Caches) > 1:
		return string(cache)
	case len(c.Caches) > 1:
		return step + ", " + string(cache)
	default:
		return step
	}
}

func chartBars(c *result.Case, step string, cache result.Cache) []bar {
	var bars []bar
	best := -1
	for _, contender := range c.Contenders {
		if !contender.Has(step) {
			continue
		}
		b := newBar(c, contender.Name, step, cache)
		b.label = contender.Name
		if contender.Missing != "" {
			b.class, b.note = "gone", contender.Missing
		}
		switch {
		case b.note == "" && b.summary.N == 0:
			continue // the run was ended before
		case b.note != "":
		case contender.Ours:
			b.class = "ours"
		case best < 0 || b.summary.Median < bars[best].summary.Median:
			best = len(bars)
		}
		bars = append(bars, b)
	}
	if best >= 0 {
		bars[best].class = "best"
	}
	return bars
}

func newBar(c *result.Case, contender, step string, cache result.Cache) bar {
	b := bar{values: c.Select(contender, step, cache, c.Metric), class: "peer"}
	b.summary = stats.Summarize(b.values)
	b.more = beside(c, contender, step, cache)
	for _, s := range c.Failures() {
		if s.Contender == contender && s.Step == step && s.Cache == cache {
			b.class, b.note = "gone", "failed, see the measurements"
		}
	}
	return b
}

// beside is what is said after the value: the costs that the bar does not
// show.
func beside(c *result.Case, contender, step string, cache result.Cache) string {
	text := ""
	for _, part := range []struct {
		metric result.Metric
		name   string
	}{{result.Total, ""}, {result.CPU, "CPU "}, {result.MaxRSS, ""}} {
		xs := c.Select(contender, step, cache, part.metric)
		if part.metric == c.Metric || len(xs) == 0 {
			continue
		}
		if text != "" {
			text += " · "
		}
		text += part.name + part.metric.Format(stats.Median(xs))
	}
	return text
}

// limitOf is the owed line of a step, if a goal is in the plotted metric.
func limitOf(c *result.Case, step string, cache result.Cache) (float64, string) {
	for _, g := range c.Goals {
		if g.Cache != cache || (g.Step != step && g.Step != "") || g.Limit <= 0 {
			continue
		}
		if g.Unit != "" && g.Unit != c.Metric || g.AtMost && g.Unit == "" {
			continue
		}
		return g.Limit, "owed: " + c.Metric.Format(g.Limit)
	}
	return 0, ""
}

func soleContender(c *result.Case) *result.Contender {
	var one *result.Contender
	for i := range c.Contenders {
		if c.Contenders[i].Missing != "" {
			continue
		}
		if one != nil {
			return nil
		}
		one = &c.Contenders[i]
	}
	return one
}

func stepsGroup(c *result.Case, contender *result.Contender) group {
	cache := c.Caches[0]
	g := group{title: contender.Name}
	for _, step := range c.Steps {
		b := newBar(c, contender.Name, step, cache)
		b.label = step
		if contender.Ours && b.note == "" {
			b.class = "ours"
		}
		g.scale = max(g.scale, b.summary.Max)
		if b.note != "" || b.summary.N > 0 {
			g.bars = append(g.bars, b)
		}
	}
	g.limit, g.owed = limitOf(c, "", cache)
	g.scale = niceScale(max(g.scale, g.limit))
	return g
}

// niceScale leaves a little room right of the longest bar.
func niceScale(v float64) float64 {
	if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 1
	}
	return v * 1.04
}
