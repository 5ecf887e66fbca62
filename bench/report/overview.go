package report

import (
	"fmt"
	"html/template"
	"math"

	"github.com/blockmill/blockmill/bench/result"
)

// Measures of the overview, in the units of its viewBox.
const (
	goalLabelWidth = 400.0
	goalValueWidth = 190.0
	goalAxisWidth  = chartWidth - goalLabelWidth - goalValueWidth
	goalRow        = 25.0
	goalHead       = 30.0
	leastMargin    = 1.0 / 4
	mostMargin     = 8.0
)

// margin is how far beyond what is owed a value is, as a factor: 1 has just
// met it, whichever way it counts.
func margin(g result.Goal, v float64) float64 {
	if g.AtMost {
		v, g.Owed = g.Owed, v
	}
	if g.Owed <= 0 {
		return mostMargin
	}
	return min(mostMargin, max(leastMargin, v/g.Owed))
}

// overview draws every goal on one logarithmic axis of margins.
func overview(r *result.Run) template.HTML {
	s := &svg{width: chartWidth, label: "All goals: how far each is met"}
	x := func(m float64) float64 {
		return goalLabelWidth + goalAxisWidth*math.Log(m/leastMargin)/math.Log(mostMargin/leastMargin)
	}
	y := goalHead
	for i := range r.Cases {
		c := &r.Cases[i]
		for _, g := range c.Goals {
			drawGoal(s, newVerdict(*c, g), g, y, x)
			y += goalRow
		}
	}
	if y == goalHead {
		return ""
	}
	s.height = y + 6
	for _, m := range []float64{leastMargin, 0.5, 1, 2, 4, mostMargin} {
		class, name := "grid", fmt.Sprintf("%g×", m)
		if m == 1 {
			class, name = "owed", "owed"
		}
		s.line(class, x(m), goalHead-6, x(m), y)
		s.text("tick "+class, "middle", x(m), goalHead-13, name)
	}
	return s.html()
}

func drawGoal(s *svg, v verdict, g result.Goal, y float64, x func(float64) float64) {
	middle := y + goalRow/2
	s.text("mark "+v.Class, "middle", 8, middle+5, v.Mark)
	s.text("label", "start", 24, middle+4.5, v.Text)
	if g.Value == nil {
		s.text("note", "start", goalLabelWidth+8, middle+4.5, v.Value)
		return
	}
	at := x(margin(g, *g.Value))
	s.line("stem "+v.Class, x(1), middle, at, middle)
	s.line("spread "+v.Class, x(margin(g, g.Low)), middle, x(margin(g, g.High)), middle)
	s.dot("goal "+v.Class, at, middle, 5.5, v.Value+", owed "+v.Owed)
	s.value(v.Class, goalLabelWidth+goalAxisWidth+16, middle+4.5, g.Unit.Format(*g.Value), v.Owed)
}
