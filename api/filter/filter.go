package filter

import "slices"

// Op says how a condition compares.
type Op uint8

// The operators.
const (
	Equal Op = iota
	NotEqual
	In
	NotIn
)

// Condition compares a field with values: one for Equal and NotEqual.
type Condition struct {
	Field  string
	Op     Op
	Values []string
}

// holds says whether the condition holds of a value.
func (c Condition) holds(value string) bool {
	return slices.Contains(c.Values, value) == (c.Op == Equal || c.Op == In)
}

// Filter is conditions that must all hold; none always do.
type Filter []Condition

// Match says whether the conditions hold of a thing whose fields value gives.
func (f Filter) Match(value func(field string) string) bool {
	for _, c := range f {
		if !c.holds(value(c.Field)) {
			return false
		}
	}
	return true
}

// Exactly gives the one value that a field must have, if the filter says so.
func (f Filter) Exactly(field string) (value string, ok bool) {
	for _, c := range f {
		if c.Field == field && len(c.Values) == 1 && (c.Op == Equal || c.Op == In) {
			return c.Values[0], true
		}
	}
	return "", false
}

// Parse reads a filter; the empty text is no condition. Known gives the name
// under which a field is to be kept, and whether there is such a field.
func Parse(text string, known func(field string) (string, bool)) (Filter, error) {
	s := &scanner{text: text}
	var f Filter
	for !s.done() {
		if len(f) > 0 && !s.keyword("AND") {
			return nil, s.fail("want AND")
		}
		c, err := s.condition(known)
		if err != nil {
			return nil, err
		}
		f = append(f, c)
	}
	return f, nil
}

func (s *scanner) condition(known func(string) (string, bool)) (Condition, error) {
	s.space()
	from := s.at
	field, ok := known(s.word())
	if !ok {
		s.at = from
		return Condition{}, s.fail("want the name of a field that can be filtered by")
	}
	op, err := s.operator()
	if err != nil {
		return Condition{}, err
	}
	c := Condition{Field: field, Op: op}
	if op == In || op == NotIn {
		c.Values, err = s.list()
		return c, err
	}
	v, err := s.value()
	c.Values = []string{v}
	return c, err
}

func (s *scanner) operator() (Op, error) {
	switch {
	case s.take("!="):
		return NotEqual, nil
	case s.take("="):
		return Equal, nil
	case s.keyword("IN"):
		return In, nil
	}
	if s.keyword("NOT") && s.keyword("IN") {
		return NotIn, nil
	}
	return 0, s.fail("want =, !=, IN or NOT IN")
}

func (s *scanner) value() (string, error) {
	s.space()
	if s.at < len(s.text) && (s.text[s.at] == '"' || s.text[s.at] == '\'') {
		return s.quoted()
	}
	from := s.at
	w := s.word()
	if !isBare(w) {
		s.at = from
		return "", s.fail("want a string in quotes")
	}
	return w, nil
}

// isBare says whether a value may stand without quotes: a number or a truth
// value.
func isBare(w string) bool {
	if w == "true" || w == "false" {
		return true
	}
	for i, c := range []byte(w) {
		if (c < '0' || c > '9') && (c != '-' || i > 0) {
			return false
		}
	}
	return w != "" && w != "-"
}

func (s *scanner) list() ([]string, error) {
	if !s.take("(") {
		return nil, s.fail("want (")
	}
	var all []string
	for {
		v, err := s.value()
		if err != nil {
			return nil, err
		}
		all = append(all, v)
		if s.take(")") {
			return all, nil
		}
		if !s.take(",") {
			return nil, s.fail("want , or )")
		}
	}
}
