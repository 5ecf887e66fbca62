package filter

import "strings"

// Order is the field that a list is ordered by.
type Order struct {
	Field      string
	Descending bool
}

// ParseOrder reads an order, such as "createdAt desc"; the empty text is the
// order by id. Known gives the name under which a field is to be kept, and
// whether there can be such an order.
func ParseOrder(text string, known func(field string) (string, bool)) (Order, error) {
	s := &scanner{text: text}
	if s.done() {
		return Order{Field: "id"}, nil
	}
	from := s.at
	field, ok := known(s.word())
	if !ok {
		s.at = from
		return Order{}, s.fail("want the name of a field that can be ordered by")
	}
	o := Order{Field: field}
	switch direction := strings.ToLower(s.word()); direction {
	case "", "asc":
	case "desc":
		o.Descending = true
	default:
		return Order{}, s.fail("direction %q: want asc or desc", direction)
	}
	if !s.done() {
		return Order{}, s.fail("want one field and its direction")
	}
	return o, nil
}
