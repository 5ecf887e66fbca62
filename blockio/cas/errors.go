package cas

import (
	"errors"
	"fmt"

	"github.com/blockmill/blockmill/blockio"
)

// Errors of stores; test with errors.Is.
var (
	// ErrNotFound says that the store has no such manifest or record.
	ErrNotFound = errors.New("not found")
	// ErrNoStore says that the volume holds no store.
	ErrNoStore = errors.New("no store here")
	// ErrStoreExists says that the volume holds a store already.
	ErrStoreExists = errors.New("a store exists already")
	// ErrLocked says that the store is open elsewhere.
	ErrLocked = blockio.ErrLocked
	// ErrDegraded says that the volume has lost too much to take a change.
	ErrDegraded = blockio.ErrDegraded
	// ErrNewerVersion says that an object was written by a later version of
	// the format than this program knows.
	ErrNewerVersion = errors.New("newer format version")
	// ErrCorrupt says that stored bytes are not what was written.
	ErrCorrupt = errors.New("corrupt")
	// ErrClosed says that the store, session or image was closed before.
	ErrClosed = errors.New("already closed")
	// ErrUnindexed says that the index does not know a chunk that a manifest
	// names. The chunk may still exist: rebuilding the index tells.
	ErrUnindexed = errors.New("chunk is not in the index")
)

// CorruptError says which object is damaged, and where. It matches ErrCorrupt.
type CorruptError struct {
	// Object is the name of the object in the volume.
	Object string
	// Offset is the first byte of the damaged structure in the object.
	Offset int64
	// Reason says what was found and what was expected.
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s is corrupt at offset %d: %s", e.Object, e.Offset, e.Reason)
}

// Is makes every CorruptError match ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

func corrupt(object string, off int64, format string, args ...any) error {
	return &CorruptError{Object: object, Offset: off, Reason: fmt.Sprintf(format, args...)}
}
