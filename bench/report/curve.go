package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/blockmill/blockmill/bench/result"
	"github.com/blockmill/blockmill/bench/stats"
)

// Measures of a chart of curves, in the units of its viewBox.
const (
	curveLeft   = 70.0
	curveRight  = 150.0 // for the curves' names
	curveTop    = 14.0
	curveHeight = 250.0
	curveBottom = 40.0
	curveWidth  = chartWidth - curveLeft - curveRight
	curveColors = 6
	labelGap    = 16.0
)

// curve is the steps of one act, over the sizes at which it was done.
type curve struct {
	act    string
	points []curvePoint
}

type curvePoint struct {
	at      float64
	summary stats.Summary
}

// curves are those of a case whose steps are all named "act @ number unit", and
// that unit; nil for other cases.
func curves(c *result.Case, contender *result.Contender) (all []curve, unit string) {
	for _, step := range c.Steps {
		act, rest, ok := strings.Cut(step, " @ ")
		number, what, _ := strings.Cut(rest, " ")
		at, err := strconv.ParseFloat(number, 64)
		if !ok || err != nil || at <= 0 {
			return nil, ""
		}
		unit = what
		values := c.Select(contender.Name, step, c.Caches[0], c.Metric)
		if len(values) == 0 {
			continue
		}
		i := slices.IndexFunc(all, func(k curve) bool { return k.act == act })
		if i < 0 {
			i = len(all)
			all = append(all, curve{act: act})
		}
		all[i].points = append(all[i].points, curvePoint{at, stats.Summarize(values)})
	}
	return all, unit
}

// plane maps sizes, logarithmically, and values onto the drawing.
type plane struct{ least, most, top float64 }

func (p plane) x(at float64) float64 {
	if p.most <= p.least {
		return curveLeft + curveWidth/2
	}
	return curveLeft + curveWidth*math.Log(at/p.least)/math.Log(p.most/p.least)
}

func (p plane) y(v float64) float64 { return curveTop + curveHeight*(1-v/p.top) }

// curveChart draws the medians of each act as a line over the sizes, with the
// spread of the samples at each.
func curveChart(c *result.Case, all []curve, unit string) template.HTML {
	p := plane{least: math.Inf(1), most: 0, top: 0}
	var sizes []float64
	for _, k := range all {
		for _, pt := range k.points {
			p.least, p.most, p.top = min(p.least, pt.at), max(p.most, pt.at), max(p.top, pt.summary.Max)
			sizes = append(sizes, pt.at)
		}
	}
	step := niceStep(p.top / 5)
	p.top = step * math.Ceil(p.top/step)
	s := &svg{width: chartWidth, height: curveTop + curveHeight + curveBottom, label: c.Title + ": a curve for each act"}
	for v := 0.0; v <= p.top*1.001; v += step {
		s.line("grid", curveLeft, p.y(v), curveLeft+curveWidth, p.y(v))
		s.text("tick", "end", curveLeft-8, p.y(v)+4, c.Metric.Format(v))
	}
	slices.Sort(sizes)
	for _, at := range slices.Compact(sizes) {
		s.line("grid", p.x(at), curveTop, p.x(at), curveTop+curveHeight)
		s.text("tick", "middle", p.x(at), curveTop+curveHeight+18, thousands(at)+" "+unit)
	}
	for i, k := range all {
		drawCurve(s, k, c.Metric, p, fmt.Sprintf("series%d", i%curveColors))
	}
	drawNames(s, all, p)
	return s.html()
}

func drawCurve(s *svg, k curve, m result.Metric, p plane, class string) {
	for i, pt := range k.points {
		x, y := p.x(pt.at), p.y(pt.summary.Median)
		if i > 0 {
			last := k.points[i-1]
			s.line("curve "+class, p.x(last.at), p.y(last.summary.Median), x, y)
		}
		if pt.summary.N > 1 {
			s.line("whisker", x, p.y(pt.summary.Min), x, p.y(pt.summary.Max))
		}
		s.dot("point "+class, x, y, 4, fmt.Sprintf("%s at %s: median %s of %d, %s to %s",
			k.act, thousands(pt.at), m.Format(pt.summary.Median), pt.summary.N, m.Format(pt.summary.Min), m.Format(pt.summary.Max)))
	}
}

// drawNames writes each curve's name at its end, moved where two would meet.
func drawNames(s *svg, all []curve, p plane) {
	type name struct {
		y float64
		i int
	}
	names := make([]name, len(all))
	for i, k := range all {
		names[i] = name{p.y(k.points[len(k.points)-1].summary.Median), i}
	}
	slices.SortFunc(names, func(a, b name) int { return int(math.Copysign(1, a.y-b.y)) })
	// From the bottom up, so that none is pushed below the axis.
	next := curveTop + curveHeight + labelGap
	for _, n := range slices.Backward(names) {
		y := min(n.y, next-labelGap)
		s.text(fmt.Sprintf("name series%d", n.i%curveColors), "start", curveLeft+curveWidth+14, y+4.5, all[n.i].act)
		next = y
	}
}

// niceStep is the least 1, 2 or 5 times a power of ten that is not less.
func niceStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v {
			return m * power
		}
	}
	return 10 * power
}

func thousands(v float64) string {
	s := strconv.FormatFloat(v, 'f', -1, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u2009" + s[i:]
	}
	return s
}
