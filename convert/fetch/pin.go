package fetch

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
)

// pin is what a source is held to from its first answer on. Without an entity tag
// and a date a source cannot be held.
type pin struct {
	etag     string // strong
	modified string // Last-Modified, when there is no etag
	size     int64
}

// newPin reads what can be held to. A weak tag says nothing about bytes.
func newPin(h http.Header, size int64) pin {
	p := pin{size: size}
	if tag := h.Get("Etag"); isStrong(tag) {
		p.etag = tag
	} else if at := h.Get("Last-Modified"); at != "" {
		if _, err := http.ParseTime(at); err == nil {
			p.modified = at
		}
	}
	return p
}

// isStrong says whether text is a strong entity tag (RFC 9110, section 8.8.3).
func isStrong(tag string) bool {
	inner, ok := strings.CutPrefix(tag, `"`)
	inner, ok2 := strings.CutSuffix(inner, `"`)
	return ok && ok2 && len(tag) <= 1<<10 && !strings.ContainsFunc(inner, func(r rune) bool { return r <= ' ' || r == '"' || r == 0x7f })
}

// holds says whether ranges of the source are known to be of one version.
func (p pin) holds() bool { return p.etag != "" || p.modified != "" }

// ask makes a request fail at the server when the source is another.
func (p pin) ask(h http.Header) {
	switch {
	case p.etag != "":
		h.Set("If-Match", p.etag)
	case p.modified != "":
		h.Set("If-Unmodified-Since", p.modified)
	}
}

// check compares a later answer. Servers that do not know the conditions answer
// all the same.
func (p pin) check(h http.Header) error {
	switch {
	case p.etag != "" && h.Get("Etag") != p.etag:
		return fmt.Errorf("entity tag %s, it was %s: %w", quote(h.Get("Etag")), quote(p.etag), ErrChanged)
	case p.etag == "" && p.modified != "" && h.Get("Last-Modified") != p.modified:
		return fmt.Errorf("modified %s, it was %s: %w", quote(h.Get("Last-Modified")), quote(p.modified), ErrChanged)
	}
	return nil
}

// String identifies the version of a source; "" when nothing does. What the server
// said is hashed, since it may hold the URL's secrets.
func (p pin) String() string {
	switch {
	case p.etag != "":
		return fmt.Sprintf("size %d, etag %x", p.size, sha256.Sum256([]byte(p.etag)))
	case p.modified != "":
		return fmt.Sprintf("size %d, modified %x", p.size, sha256.Sum256([]byte(p.modified)))
	}
	return ""
}
