package fetch

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxURL is the longest URL that is taken. Signed ones have a few KiB.
const maxURL = 16 << 10

// parseURL reads the URL of a source. Its errors hold nothing of it but the
// scheme.
func parseURL(raw string, r *rules) (*url.URL, error) {
	if len(raw) > maxURL {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrURL, len(raw), maxURL)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot be parsed", ErrURL) // err quotes it
	}
	if err := checkURL(u, r); err != nil {
		return nil, err
	}
	return plainURL(u), nil
}

// plainURL drops what is never sent.
func plainURL(u *url.URL) *url.URL {
	p := *u
	p.Fragment, p.RawFragment = "", ""
	return &p
}

func checkURL(u *url.URL, r *rules) error {
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%w: its scheme is not https", ErrURL)
	case u.Opaque != "" || u.Hostname() == "":
		return fmt.Errorf("%w: no host", ErrURL)
	case u.User != nil:
		return fmt.Errorf("%w: user information is not taken", ErrURL)
	case u.Port() != "" && !validPort(u.Port()):
		return fmt.Errorf("%w: port is not 1 to 65535", ErrURL)
	case strings.ContainsFunc(u.Hostname(), func(c rune) bool { return c <= ' ' || c == 0x7f }):
		return fmt.Errorf("%w: host with spaces", ErrURL)
	case u.Scheme == "http" && !r.allowHTTP:
		return fmt.Errorf("http: %w, only https is", ErrForbidden)
	}
	return nil
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// Redact gives a URL without what may be secret: the query, in which signatures
// stand, user information and the fragment. What is no URL becomes a text that
// says so.
func Redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "(no URL)"
	}
	return redact(u)
}

func redact(u *url.URL) string {
	p := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return p.String()
}

// secrets are the parts of URLs that must not be seen, as they are, decoded and
// quoted. Long ones are there in pieces, so that a part of one is found too.
type secrets []string

const (
	// minSecret is the shortest part that is taken for a secret: shorter ones
	// are in every text.
	minSecret = 6
	// secretPiece is the length of pieces.
	secretPiece = 16
)

func (s secrets) with(u *url.URL) secrets {
	parts := []string{u.RawQuery}
	for _, pair := range strings.FieldsFunc(u.RawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		_, value, _ := strings.Cut(pair, "=")
		parts = append(parts, value)
		if plain, err := url.QueryUnescape(value); err == nil {
			parts = append(parts, plain)
		}
	}
	all := slices.Clone(s)
	for _, p := range parts {
		quoted := strconv.QuoteToASCII(p)
		for _, form := range []string{p, quoted[1 : len(quoted)-1]} {
			for _, piece := range pieces(form) {
				if len(piece) >= minSecret && !slices.Contains(all, piece) {
					all = append(all, piece)
				}
			}
		}
	}
	return all
}

// pieces cuts a text that is longer than one, without what remains at its end: that
// may be in any text.
func pieces(text string) []string {
	if len(text) <= secretPiece {
		return []string{text}
	}
	var all []string
	for ; len(text) >= secretPiece; text = text[secretPiece:] {
		all = append(all, text[:secretPiece])
	}
	return all
}

func (s secrets) in(text string) bool {
	return slices.ContainsFunc(s, func(secret string) bool { return strings.Contains(text, secret) })
}

// hidden is an error whose message would have given a secret away.
type hidden struct{ err error }

func (hidden) Error() string { return "(the message quotes the URL)" }

// Is lets errors.Is look at what is hidden. There is no Unwrap: whoever follows
// it would print the message.
func (h hidden) Is(target error) bool { return errors.Is(h.err, target) }

// hide makes sure that an error's message gives no secret away.
func (s secrets) hide(err error) error {
	if err != nil && s.in(err.Error()) {
		return hidden{err}
	}
	return err
}

// expiry is when a signed URL ends, as far as it says so in a known way.
func expiry(u *url.URL) (time.Time, bool) {
	q := u.Query()
	for _, vendor := range []string{"Amz", "Goog"} {
		from, err := time.Parse("20060102T150405Z", q.Get("X-"+vendor+"-Date"))
		seconds, err2 := strconv.ParseInt(q.Get("X-"+vendor+"-Expires"), 10, 32)
		if err == nil && err2 == nil {
			return from.Add(time.Duration(seconds) * time.Second), true
		}
	}
	if at, err := time.Parse(time.RFC3339, q.Get("se")); err == nil { // Azure
		return at, true
	}
	if at, err := strconv.ParseInt(q.Get("Expires"), 10, 64); err == nil && at > 1e9 && at < 1e11 {
		return time.Unix(at, 0), true
	}
	return time.Time{}, false
}
