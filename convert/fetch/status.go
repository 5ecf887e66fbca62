package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"
)

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// isFinal says whether the URL will never do again.
func isFinal(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return true
	}
	return false
}

// busyError is a status that says to come again.
type busyError struct {
	status int
	after  time.Duration // that the server asks for; 0 when it does not
}

func (e *busyError) Error() string {
	if e.after == 0 {
		return fmt.Sprintf("status %d", e.status)
	}
	return fmt.Sprintf("status %d, to be asked again in %v", e.status, e.after.Round(time.Second))
}

// unsatisfiedError is a 416: the source has not what was asked for.
type unsatisfiedError struct{ contentRange string }

func (e *unsatisfiedError) Error() string { return "status 416" }

// statusError is the error of a response from u that is neither 200 nor 206.
func statusError(resp *http.Response, u *url.URL) error {
	status := resp.StatusCode
	switch {
	case status == http.StatusPreconditionFailed:
		return fmt.Errorf("status 412: %w", ErrChanged)
	case status == http.StatusRequestedRangeNotSatisfiable:
		return &unsatisfiedError{resp.Header.Get("Content-Range")}
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return &busyError{status, retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	case status >= 400:
		return fmt.Errorf("status %d%s: %w", status, hint(u, time.Now()), ErrGone)
	}
	return fmt.Errorf("status %d: %w", status, ErrProtocol)
}

// hint says what may be wrong with a URL that the server refuses.
func hint(u *url.URL, now time.Time) string {
	at, signed := expiry(u)
	switch {
	case signed && at.Before(now):
		return fmt.Sprintf(" (the URL expired at %s)", at.UTC().Format(time.RFC3339))
	case signed || strings.Contains(strings.ToLower(u.RawQuery), "sig"):
		return " (the URL's signature may be wrong, or have expired)"
	}
	return " (the URL may be wrong, or have expired)"
}

// retryAfter reads a Retry-After: seconds, or a date (RFC 9110, section 10.2.3).
// What is neither asks for nothing.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := parseDigits(strings.TrimSpace(text)); err == nil {
		return time.Duration(min(n, int64(time.Hour/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(0, at.Sub(now)), time.Hour)
	}
	return 0
}

// final says whether no further attempt would mend an error, and gives it the
// sentinel that it lacks.
func final(err error) (error, bool) {
	for _, sentinel := range []error{ErrURL, ErrForbidden, ErrChanged, ErrGone, ErrTooLarge, ErrProtocol, ErrNoRanges, ErrClosed, ErrTemporary, context.Canceled} {
		if errors.Is(err, sentinel) {
			return err, true
		}
	}
	if _, ok := errors.AsType[*spoolError](err); ok {
		return err, true
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return &noHostError{dns.Name}, true
	}
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, malformed := errors.AsType[textproto.ProtocolError](err)
	if certificate || record || malformed {
		return fmt.Errorf("%w: %w", ErrProtocol, err), true
	}
	return err, false
}

// noHostError says that a name stands for no address. It matches ErrGone, whose words
// are about a server that is there.
type noHostError struct{ host string }

func (e *noHostError) Error() string {
	return fmt.Sprintf("look up host %s: no such host", quote(e.host))
}

func (e *noHostError) Is(target error) bool { return target == ErrGone }

var errDeadline = fmt.Errorf("the time for the whole source is over: %w", ErrTemporary)
