package blockio

import (
	"errors"
	"fmt"
	"strings"
)

// ErrName says that a name is no valid name of an object or a kind.
var ErrName = errors.New("not a valid name")

// tmpKind is the directory of unfinished objects; no object may have it as
// its kind.
const tmpKind = "tmp"

// maxNamePart is the longest part of a name in bytes, as file systems have it.
const maxNamePart = 255

// checkName checks the name of an object and returns its kind.
func checkName(name string) (kind string, err error) {
	kind, id, ok := strings.Cut(name, "/")
	if !ok || !validPart(id) || !validKind(kind) {
		return "", fmt.Errorf("%q: %w", name, ErrName)
	}
	return kind, nil
}

func checkKindName(kind string) error {
	if !validKind(kind) {
		return fmt.Errorf("kind %q: %w", kind, ErrName)
	}
	return nil
}

func validKind(kind string) bool { return validPart(kind) && kind != tmpKind }

func validPart(part string) bool {
	if part == "" || len(part) > maxNamePart || part[0] == '.' {
		return false
	}
	for i := range len(part) {
		c := part[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return true
}
