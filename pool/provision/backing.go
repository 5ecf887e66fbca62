package provision

import (
	"crypto/rand"
	"strings"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
)

// BackingID names the files of a disk: the manifest that it was made from, or
// "blank", a dash and 20 random letters and digits.
type BackingID string

const (
	blankOrigin = "blank"
	randomChars = 20
)

func newBackingID(m cas.ManifestID) BackingID {
	origin := blankOrigin
	if m != (cas.ManifestID{}) {
		origin = m.String()
	}
	return BackingID(origin + "-" + strings.ToLower(rand.Text()[:randomChars]))
}

// Manifest is what the backing was made from; false for a blank one, and for
// what is no id.
func (id BackingID) Manifest() (cas.ManifestID, bool) {
	origin, rest, _ := strings.Cut(string(id), "-")
	m, err := cas.ParseManifestID(origin)
	return m, err == nil && len(rest) == randomChars
}

// valid says whether this is the name of files of ours.
func (id BackingID) valid() bool {
	origin, rest, _ := strings.Cut(string(id), "-")
	_, ok := id.Manifest()
	return len(rest) == randomChars && (ok || origin == blankOrigin)
}

// Backing is the files of one disk.
type Backing struct {
	ID BackingID
	// Dir is the path of its directory.
	Dir    string
	Method Method
	Format convert.Format
	// Size is what the guest sees, in bytes.
	Size int64
	// Held is about how many bytes of the file system it has for itself.
	Held int64
}
