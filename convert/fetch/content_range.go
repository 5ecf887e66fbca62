package fetch

import (
	"fmt"
	"strconv"
	"strings"
)

// contentRange is a parsed Content-Range (RFC 9110, section 14.4): the bytes
// [off, end) of total.
type contentRange struct{ off, end, total int64 }

// parseContentRange reads "bytes first-last/total" and nothing else: a total that
// is not known is no use here.
func parseContentRange(text string) (contentRange, error) {
	var c contentRange
	rest, ok := strings.CutPrefix(text, "bytes ")
	span, total, ok2 := strings.Cut(rest, "/")
	first, last, ok3 := strings.Cut(span, "-")
	if !ok || !ok2 || !ok3 {
		return c, fmt.Errorf("content range %s: not of the form bytes N-N/N", quote(text))
	}
	var n [3]int64
	for i, digits := range []string{first, last, total} {
		v, err := parseDigits(digits)
		if err != nil {
			return c, fmt.Errorf("content range %s: %w", quote(text), err)
		}
		n[i] = v
	}
	if n[0] > n[1] || n[1] >= n[2] {
		return c, fmt.Errorf("content range %s: out of order", quote(text))
	}
	return contentRange{n[0], n[1] + 1, n[2]}, nil
}

// parseUnsatisfied reads the Content-Range of a 416, "bytes */total".
func parseUnsatisfied(text string) (total int64, err error) {
	digits, ok := strings.CutPrefix(text, "bytes */")
	if !ok {
		return 0, fmt.Errorf("content range %s: not of the form bytes */N", quote(text))
	}
	if total, err = parseDigits(digits); err != nil {
		return 0, fmt.Errorf("content range %s: %w", quote(text), err)
	}
	return total, nil
}

// parseDigits reads a number of digits alone, no signs and no spaces, below 2^62
// so that sums of two do not overflow.
func parseDigits(text string) (int64, error) {
	if text == "" || len(text) > 19 || strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, fmt.Errorf("%s is no number", quote(text))
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n >= 1<<62 {
		return 0, fmt.Errorf("%s is too large", quote(text))
	}
	return n, nil
}

// quote makes a server's text fit for a message. A long one is not shown at all:
// in a part of it hide would not find a secret.
func quote(text string) string {
	const most = 80
	if len(text) > most {
		return fmt.Sprintf("(%d bytes)", len(text))
	}
	return strconv.QuoteToASCII(text)
}
