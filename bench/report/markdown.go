package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/blockmill/blockmill/bench/result"
)

// Markdown writes the goals of a run as a table for a document: what is owed,
// and what was measured cold and warm. What falls short is set in bold.
func Markdown(w io.Writer, r *result.Run) error {
	var b strings.Builder
	b.WriteString("| what | owed | cold | warm |\n| --- | --- | --- | --- |\n")
	for _, c := range r.Cases {
		for i, g := range c.Goals {
			if first := firstOf(c.Goals, g); first != i {
				continue
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", g.Text, owed(g),
				goalCell(c.Goals, g, result.Cold), goalCell(c.Goals, g, result.Warm))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// firstOf is where a goal stands first: each state of the cache has its own.
func firstOf(goals []result.Goal, g result.Goal) int {
	for i := range goals {
		if goals[i].Text == g.Text {
			return i
		}
	}
	return -1
}

func owed(g result.Goal) string {
	sign := "≥"
	if g.AtMost {
		sign = "≤"
	}
	if g.Unit == "" {
		return fmt.Sprintf("%s %g×", sign, g.Owed)
	}
	return sign + " " + g.Unit.Format(g.Owed)
}

func goalCell(goals []result.Goal, like result.Goal, cache result.Cache) string {
	for _, g := range goals {
		if g.Text != like.Text || g.Cache != cache {
			continue
		}
		switch {
		case g.Value == nil:
			return "–"
		case !g.Met:
			return "**" + short(g, *g.Value) + "**"
		default:
			return short(g, *g.Value)
		}
	}
	return ""
}

// short is a value as a table has room for it.
func short(g result.Goal, v float64) string {
	if g.Unit == "" && v >= 10 {
		return fmt.Sprintf("%.0f×", v)
	}
	return g.Unit.Format(v)
}
