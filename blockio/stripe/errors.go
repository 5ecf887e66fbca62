package stripe

import (
	"errors"
	"fmt"
	"strings"

	"github.com/blockmill/blockmill/blockio"
)

// Errors of stripes; test with errors.Is.
var (
	// ErrCorrupt says that stored bytes are not what was written.
	ErrCorrupt = errors.New("corrupt")
	// ErrForeign says that a shard does not belong to the stripe: it is of
	// another set, at another position, of another shape, or holds objects of
	// no stripe.
	ErrForeign = errors.New("not a shard of this stripe")
	// ErrNewerVersion says that a shard was written by a later version of the
	// format than this program knows.
	ErrNewerVersion = errors.New("newer format version")
	// ErrNoStripe says that no shard holds an identity.
	ErrNoStripe = errors.New("no stripe here")
	// ErrLost says that more shards are gone than parity makes up for.
	ErrLost = errors.New("too few shards")
	// ErrDegraded says that a change was refused, since too few shards would
	// hold it.
	ErrDegraded = blockio.ErrDegraded
	// ErrClosed says that the volume was closed before.
	ErrClosed = errors.New("already closed")
)

// LostError says that bytes cannot be rebuilt. It matches ErrLost, and that of
// package blockio.
type LostError struct {
	Object string
	// Row is the row that is lost, or -1 for the whole object.
	Row int64
	// Have is how many good shards there are, Need how many it takes.
	Have, Need int
	// Err is why the others were of no use, if known.
	Err error
}

func (e *LostError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is lost", e.Object)
	if e.Row >= 0 {
		fmt.Fprintf(&b, " in row %d", e.Row)
	}
	fmt.Fprintf(&b, ": %d good shards, needs %d", e.Have, e.Need)
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Is makes every LostError match ErrLost, and blockio.ErrLost.
func (e *LostError) Is(target error) bool { return target == ErrLost || target == blockio.ErrLost }

func (e *LostError) Unwrap() error { return e.Err }

// ShardError is what is wrong with one shard.
type ShardError struct {
	// Index is the position of the shard, from 0.
	Index int
	// Label is what Options.Labels call it, or "".
	Label string
	Err   error
}

func (e *ShardError) Error() string {
	if e.Label == "" {
		return fmt.Sprintf("shard %d: %v", e.Index, e.Err)
	}
	return fmt.Sprintf("shard %d (%s): %v", e.Index, e.Label, e.Err)
}

func (e *ShardError) Unwrap() error { return e.Err }

// corrupt makes an error of damage at an offset of a shard's object.
func corrupt(object string, off int64, format string, args ...any) error {
	return fmt.Errorf("%s at offset %d: %s: %w", object, off, fmt.Sprintf(format, args...), ErrCorrupt)
}
