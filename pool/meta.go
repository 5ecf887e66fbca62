package pool

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Ids are 20 lower-case letters and digits, random. A folder's id is the
// configuration's.
type (
	// ImageID names an image.
	ImageID string
	// SnapshotID names a snapshot.
	SnapshotID string
	// DiskID names a disk.
	DiskID string
	// FolderID names a folder, which things belong to.
	FolderID string
)

// DefaultFolder is the folder of records that name none: those which are made
// offline.
const DefaultFolder FolderID = "default"

// Status is where a thing is in its life.
type Status uint8

// The statuses.
const (
	Ready Status = iota
	Creating
	Deleting
)

func (s Status) String() string {
	return [...]string{Ready: "READY", Creating: "CREATING", Deleting: "DELETING"}[s]
}

// Binding gives a role on one thing to a subject.
type Binding struct {
	Role        string `json:"role"`
	SubjectType string `json:"subject_type"`
	SubjectID   string `json:"subject_id"`
}

// Meta is what all things have.
type Meta[I ~string] struct {
	ID I `json:"id"`
	// Folder is what the thing belongs to.
	Folder FolderID `json:"folder,omitempty"`
	// Name is unique among the things of its kind in the folder, or empty.
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	CreatedAt   time.Time         `json:"created_at"`
	Bindings    []Binding         `json:"bindings,omitempty"`
	// Operation is what made the thing: by it a create that was done before a crash
	// is known again after it.
	Operation string `json:"operation,omitempty"`
	// IdempotencyKey is the key that it was submitted with, for whoever looks for
	// what came of a key when operations are lost.
	IdempotencyKey string `json:"idempotency_key,omitempty"`
	// Submission is what the maker wants to find after a crash that comes soon;
	// see Node.Submissions. It is in the first record of the thing alone.
	Submission []byte `json:"submission,omitempty"`
	// Status is Ready in every record.
	Status Status `json:"-"`
}

// meta gives the common part of the thing that it is embedded in.
func (m *Meta[I]) meta() *Meta[I] { return m }

// Heritage is what a thing takes over from what it is made from.
type Heritage struct {
	ProductIDs []string `json:"product_ids,omitempty"`
	OS         OS       `json:"os,omitzero"`
	// HardwareGeneration is the API's message, encoded; what it says is no
	// concern of this package.
	HardwareGeneration []byte `json:"hardware_generation,omitempty"`
}

// OS is the operating system that an image holds.
type OS struct {
	// Type is linux, windows, or empty when nobody said.
	Type   OSType  `json:"type,omitempty"`
	Nvidia *Nvidia `json:"nvidia,omitempty"`
}

// OSType is a kind of operating system.
type OSType string

// The kinds; the zero value is that which nobody said.
const (
	Linux   OSType = "linux"
	Windows OSType = "windows"
)

// Nvidia says which driver an image has.
type Nvidia struct {
	Driver string `json:"driver"`
}

// inherit takes over, from the source, what the heir does not say itself.
func (h Heritage) inherit(source Heritage) Heritage {
	if len(h.ProductIDs) == 0 {
		h.ProductIDs = source.ProductIDs
	}
	if h.OS.Type == "" {
		h.OS.Type = source.OS.Type
	}
	if h.OS.Nvidia == nil {
		h.OS.Nvidia = source.OS.Nvidia
	}
	if len(h.HardwareGeneration) == 0 {
		h.HardwareGeneration = source.HardwareGeneration
	}
	return h
}

var namePattern = regexp.MustCompile(`^[a-z]([-_a-z0-9]{0,61}[a-z0-9])?$`)

// CheckName says whether a thing may have the name; the empty name is none,
// and allowed.
func CheckName(name string) error {
	if name != "" && !namePattern.MatchString(name) {
		return fmt.Errorf("name %q: %w", name, ErrName)
	}
	return nil
}

// newID makes an id of 100 random bits.
func newID[I ~string]() I { return I(strings.ToLower(rand.Text()[:20])) }
