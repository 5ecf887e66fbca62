package pool

import (
	"errors"
	"fmt"

	"github.com/blockmill/blockmill/pool/provision"
)

// Errors of catalogs and nodes; test with errors.Is.
var (
	// ErrNotFound says that nothing of the kind has the name or id.
	ErrNotFound = errors.New("not found")
	// ErrNameTaken says that another thing of the kind in the folder has the
	// name.
	ErrNameTaken = errors.New("name is taken")
	// ErrName says that a name is not of the form that names have.
	ErrName = errors.New("bad name: want a lower-case letter, then letters, digits, - and _, at most 63, no - or _ last")
	// ErrAmbiguous says that things in several folders have the name.
	ErrAmbiguous = errors.New("several folders have one of this name")
	// ErrNotReady says that a thing is being made or deleted.
	ErrNotReady = errors.New("not ready")
	// ErrMinDiskSize says that the least size of an image's disks is less than
	// the image.
	ErrMinDiskSize = errors.New("minimal disk size should be greater or equal than the image's size")
	// ErrDigest says that the guest bytes are not those that were expected.
	ErrDigest = errors.New("digest is not the expected one")
	// ErrDiskSize says that a disk cannot have the size.
	ErrDiskSize = errors.New("disk cannot have this size")
	// ErrInUse says that something has the disk open.
	ErrInUse = provision.ErrInUse
	// ErrNoDisks says that the node has no directory for disks that will do.
	ErrNoDisks = errors.New("no disk directory")
	// ErrNotPooled says that an image keeps no ready disks.
	ErrNotPooled = errors.New("image is not pooled")
	// ErrFormatRefused says that the configuration does not list the format.
	ErrFormatRefused = errors.New("format is not among those that are taken")
)

// MinDiskSizeError says what the least size of an image's disks must be. It
// matches ErrMinDiskSize.
type MinDiskSizeError struct {
	// Least is the virtual size in bytes.
	Least int64
}

func (e *MinDiskSizeError) Error() string {
	return fmt.Sprintf("Minimal disk size should be greater or equal than %d", e.Least)
}

// Is makes every MinDiskSizeError match ErrMinDiskSize.
func (e *MinDiskSizeError) Is(target error) bool { return target == ErrMinDiskSize }
