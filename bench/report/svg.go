package report

import (
	"fmt"
	"html/template"
	"strings"
)

// svg builds a drawing. Colours are classes of the page's style, so that they
// follow its light and dark.
type svg struct {
	width, height float64
	label         string // for those who cannot see it
	b             strings.Builder
}

// num writes a coordinate: short, and the same on every run.
func num(v float64) string {
	s := fmt.Sprintf("%.1f", v)
	return strings.TrimSuffix(s, ".0")
}

// box is a place in a drawing.
type box struct{ x, y, width, height float64 }

func (s *svg) rect(class string, in box, title string) {
	fmt.Fprintf(&s.b, `<rect class="%s" x="%s" y="%s" width="%s" height="%s" rx="3">`,
		class, num(in.x), num(in.y), num(max(0, in.width)), num(in.height))
	s.title(title)
	s.b.WriteString("</rect>\n")
}

func (s *svg) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&s.b, `<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>`+"\n", class, num(x1), num(y1), num(x2), num(y2))
}

func (s *svg) dot(class string, x, y, radius float64, title string) {
	fmt.Fprintf(&s.b, `<circle class="%s" cx="%s" cy="%s" r="%s">`, class, num(x), num(y), num(radius))
	s.title(title)
	s.b.WriteString("</circle>\n")
}

// text sets text at its baseline; anchor is start, middle or end.
func (s *svg) text(class, anchor string, x, y float64, text string) {
	fmt.Fprintf(&s.b, `<text class="%s" text-anchor="%s" x="%s" y="%s">%s</text>`+"\n", class, anchor, num(x), num(y), template.HTMLEscapeString(text))
}

// value sets text from the start of its baseline, and more after it in a muted tone.
func (s *svg) value(class string, x, y float64, text, more string) {
	fmt.Fprintf(&s.b, `<text class="value %s" text-anchor="start" x="%s" y="%s">%s`, class, num(x), num(y), template.HTMLEscapeString(text))
	if more != "" {
		fmt.Fprintf(&s.b, `<tspan class="more" dx="8">%s</tspan>`, template.HTMLEscapeString(more))
	}
	s.b.WriteString("</text>\n")
}

func (s *svg) title(title string) {
	if title != "" {
		fmt.Fprintf(&s.b, "<title>%s</title>", template.HTMLEscapeString(title))
	}
}

func (s *svg) html() template.HTML {
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %s %s" role="img" aria-label="%s">`+"\n%s</svg>",
		num(s.width), num(s.height), template.HTMLEscapeString(s.label), s.b.String()))
}
