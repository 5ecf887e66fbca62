package fetch

import (
	"net/http"
	"net/url"
	"time"
)

// What tests and fuzzing see of the inside.

func ParseContentRange(text string) (off, end, total int64, err error) {
	c, err := parseContentRange(text)
	return c.off, c.end, c.total, err
}

func ParseUnsatisfied(text string) (int64, error) { return parseUnsatisfied(text) }

func RetryAfter(text string, now time.Time) time.Duration { return retryAfter(text, now) }

func PinOf(h http.Header, size int64) string { return newPin(h, size).String() }

func Expiry(u *url.URL) (time.Time, bool) { return expiry(u) }
