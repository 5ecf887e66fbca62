package lazy

import "errors"

// Errors of lazy disks; test with errors.Is.
var (
	// ErrCorrupt says that the map of a disk is damaged: which blocks are its
	// own is not known.
	ErrCorrupt = errors.New("map of a lazy disk is damaged")
	// ErrVersion says that the map was written by a later version.
	ErrVersion = errors.New("map of a lazy disk has an unknown version")
	// ErrBase says that the base is not the one that the disk was made with.
	ErrBase = errors.New("not the base of this lazy disk")
	// ErrPoisoned says that an earlier Sync failed.
	ErrPoisoned = errors.New("an earlier sync failed")
	// ErrRange says that a range does not lie inside the disk.
	ErrRange = errors.New("range is not inside the disk")
)
