package filter

import (
	"fmt"
	"strings"
)

// SyntaxError says where a text cannot be read, and why.
type SyntaxError struct {
	// Offset counts bytes.
	Offset int
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("at offset %d: %s", e.Offset, e.Reason) }

// scanner goes through the text of a filter.
type scanner struct {
	text string
	at   int
}

func (s *scanner) fail(format string, args ...any) error {
	return &SyntaxError{Offset: s.at, Reason: fmt.Sprintf(format, args...)}
}

func (s *scanner) space() {
	for s.at < len(s.text) && strings.IndexByte(" \t\r\n", s.text[s.at]) >= 0 {
		s.at++
	}
}

func (s *scanner) done() bool {
	s.space()
	return s.at == len(s.text)
}

// take goes past a mark, if it is next.
func (s *scanner) take(mark string) bool {
	s.space()
	if !strings.HasPrefix(s.text[s.at:], mark) {
		return false
	}
	s.at += len(mark)
	return true
}

// word reads a field's name, a keyword or a value without quotes; it is empty
// when none is next.
func (s *scanner) word() string {
	s.space()
	from := s.at
	for s.at < len(s.text) && isWord(s.text[s.at]) {
		s.at++
	}
	return s.text[from:s.at]
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_./@", c) >= 0
}

// keyword goes past a word, in whatever case, if it is next.
func (s *scanner) keyword(want string) bool {
	s.space()
	from := s.at
	if strings.EqualFold(s.word(), want) {
		return true
	}
	s.at = from
	return false
}

// quoted reads a string in quotes.
func (s *scanner) quoted() (string, error) {
	from := s.at
	quote := s.text[s.at]
	s.at++
	var b strings.Builder
	for s.at < len(s.text) {
		c := s.text[s.at]
		s.at++
		switch c {
		case quote:
			return b.String(), nil
		case '\\':
			c, err := s.escape()
			if err != nil {
				return "", err
			}
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	s.at = from
	return "", s.fail("the string does not end")
}

// escape reads what follows a backslash, as in C.
func (s *scanner) escape() (byte, error) {
	if s.at == len(s.text) {
		return 0, s.fail("the string ends with a backslash")
	}
	c := s.text[s.at]
	if i := strings.IndexByte(`abfnrtv\'"?`, c); i >= 0 {
		s.at++
		return "\a\b\f\n\r\t\v\\'\"?"[i], nil
	}
	if c == 'x' {
		s.at++
		return s.digits(16, 2)
	}
	if c >= '0' && c <= '7' {
		return s.digits(8, 3)
	}
	return 0, s.fail("unknown escape \\%c", c)
}

// digits reads up to most digits of a number that fits in a byte.
func (s *scanner) digits(base, most int) (byte, error) {
	n, from := 0, s.at
	for s.at < len(s.text) && s.at < from+most {
		d := strings.IndexByte("0123456789abcdef", lower(s.text[s.at]))
		if d < 0 || d >= base {
			break
		}
		n = n*base + d
		s.at++
	}
	if s.at == from || n > 0xff {
		s.at = from
		return 0, s.fail("want the digits of a byte in base %d", base)
	}
	return byte(n), nil
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
