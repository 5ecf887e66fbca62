package blockio

import (
	"context"
	"iter"
)

// State says what is known of an extent without reading it.
type State uint8

const (
	// Hole is a run that its container does not allocate; it reads as zeros.
	Hole State = iota
	// Zero is a run that its container allocates or marks, and that reads as
	// zeros.
	Zero
	// Data is a run whose bytes must be read to be known.
	Data
)

// NoHost is the Host of an extent without a place of its own in the container.
const NoHost int64 = -1

// Extent is a run of bytes in one state. Offset and Length are in bytes.
type Extent struct {
	Offset, Length int64
	// Host is the container's byte offset of the run's first byte where the
	// whole run is stored plain and in one piece, else NoHost.
	Host  int64
	State State
	// Compressed says that the run is stored compressed.
	Compressed bool
}

// End is the offset of the first byte after the extent.
func (e Extent) End() int64 { return e.Offset + e.Length }

// Mapper tells the extents of a range. They are yielded in order, without gaps
// or overlaps, and cover exactly [off, off+length); the range must lie inside
// the source. After an error nothing more is yielded. The cost is bounded by
// the metadata that the range has, never by its length.
type Mapper interface {
	Extents(ctx context.Context, off, length int64) iter.Seq2[Extent, error]
}
