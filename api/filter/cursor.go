package filter

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
)

// ErrToken says that a page token is not one of this listing.
var ErrToken = errors.New("the page token is not one that this listing gave")

// Cursor is a place in a listing: after the thing of the id, which has the key in
// what the list is ordered by.
type Cursor struct {
	ID, Key string
}

// Scope names a listing by what it asks for, so that a token of another is
// noticed.
type Scope string

// ScopeOf gives the scope of a listing.
func ScopeOf(parts ...string) Scope {
	h := fnv.New32a()
	for _, p := range parts {
		fmt.Fprintf(h, "%q", p)
	}
	return Scope(fmt.Sprintf("%08x", h.Sum32()))
}

// Token writes a place. It is at most 100 characters long as long as the id has
// 20 and the key 63: the scope, the id and the key, with dots between them.
func (c Cursor) Token(s Scope) string { return string(s) + "." + c.ID + "." + c.Key }

// ParseCursor reads a token of the listing; nil is its beginning, which the empty
// token stands for.
func ParseCursor(token string, s Scope) (*Cursor, error) {
	if token == "" {
		return nil, nil
	}
	parts := strings.SplitN(token, ".", 3)
	if len(parts) != 3 || Scope(parts[0]) != s {
		return nil, ErrToken
	}
	return &Cursor{ID: parts[1], Key: parts[2]}, nil
}
