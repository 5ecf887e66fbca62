package pool

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
)

// Errors of catalogs; test with errors.Is.
var (
	// ErrNotFound says that no image has the name or id.
	ErrNotFound = errors.New("no such image")
	// ErrNameTaken says that another image has the name.
	ErrNameTaken = errors.New("name is taken")
	// ErrName says that a name is not of the form that names have.
	ErrName = errors.New("bad name: want a lower-case letter, then letters, digits, - and _, at most 63, no - or _ last")
)

// ImageID names an image: 20 lower-case letters and digits, random.
type ImageID string

// Image is what the catalog knows of an image.
type Image struct {
	ID ImageID `json:"id"`
	// Name is unique among the images of a store, or empty.
	Name string `json:"name"`
	// Digest identifies the guest bytes; Manifest is where the store has
	// them.
	Digest   cas.Digest     `json:"digest"`
	Manifest cas.ManifestID `json:"manifest"`
	// VirtualSize is the guest's disk, StorageSize the part of it that holds
	// data, both in bytes and before deduplication.
	VirtualSize int64 `json:"virtual_size"`
	StorageSize int64 `json:"storage_size"`
	// Chunks is the number of chunks that the image is made of.
	Chunks int64 `json:"chunks"`
	// Format is the format that the image came in.
	Format    convert.Format `json:"format"`
	CreatedAt time.Time      `json:"created_at"`
}

// recordVersion is the version of the payload; a later one is refused.
const recordVersion = 1

// recordKind is the kind of the store's records that are images.
const recordKind = "image"

// payload is the form of an image in its record.
type payload struct {
	Version int `json:"version"`
	Image
}

func (img *Image) record() (cas.Record, error) {
	p, err := json.Marshal(payload{recordVersion, *img})
	if err != nil {
		return cas.Record{}, err
	}
	return cas.Record{
		Kind: recordKind, ID: string(img.ID),
		Payload: p, Manifests: []cas.ManifestID{img.Manifest},
	}, nil
}

func parseRecord(r cas.Record) (Image, error) {
	var p payload
	if err := json.Unmarshal(r.Payload, &p); err != nil {
		return Image{}, fmt.Errorf("read record of image %s: %w", r.ID, err)
	}
	if p.Version != recordVersion {
		return Image{}, fmt.Errorf("read record of image %s: version %d, want %d: %w", r.ID, p.Version, recordVersion, cas.ErrNewerVersion)
	}
	if string(p.ID) != r.ID {
		return Image{}, fmt.Errorf("read record of image %s: it is that of %q: %w", r.ID, p.ID, cas.ErrCorrupt)
	}
	return p.Image, nil
}

var namePattern = regexp.MustCompile(`^[a-z]([-_a-z0-9]{0,61}[a-z0-9])?$`)

// CheckName says whether an image may have the name; the empty name is none,
// and allowed.
func CheckName(name string) error {
	if name != "" && !namePattern.MatchString(name) {
		return fmt.Errorf("name %q: %w", name, ErrName)
	}
	return nil
}

// newID makes an id of 100 random bits.
func newID() ImageID { return ImageID(strings.ToLower(rand.Text()[:20])) }
