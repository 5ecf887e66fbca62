package scrub

import (
	"context"
	"time"

	"github.com/blockmill/blockmill/blockio/cas"
)

// DefaultFullEvery is how long after a look at all chunks the next one is due.
const DefaultFullEvery = 30 * 24 * time.Hour

// Full says whether a scrub looks at the BLAKE3 of chunks too.
type Full uint8

const (
	// FullWhenDue does when the last such look is long ago, or was interrupted.
	FullWhenDue Full = iota
	// FullNow does.
	FullNow
	// FullNever does not.
	FullNever
)

// Options say how to scrub; the zero value only looks.
type Options struct {
	// Repair rebuilds what is missing or wrong as it is found.
	Repair bool
	// Rate bounds the bytes read a second; zero is no bound.
	Rate int64
	// Parallel is how many objects are read at a time; zero is as many as are
	// good for speed.
	Parallel int
	// Restart begins at the beginning, wherever the last scrub stopped.
	Restart bool
	// Full and FullEvery say when chunks are looked at; by default when that
	// was DefaultFullEvery ago.
	Full      Full
	FullEvery time.Duration
	// Progress hears how far the scrub is, a few times a second; nil is nobody.
	// It is called by one goroutine at a time.
	Progress func(Progress)
}

func (o Options) withDefaults() Options {
	if o.FullEvery == 0 {
		o.FullEvery = DefaultFullEvery
	}
	return o
}

// Phase is a part of a scrub.
type Phase string

// The phases, in their order.
const (
	PhaseHeal   Phase = "heal"   // what is known to be missing
	PhaseRows   Phase = "rows"   // checksums of the rows of shards
	PhaseChunks Phase = "chunks" // BLAKE3 of chunks
)

// Progress is how far a phase is: in objects for PhaseHeal, else in bytes.
type Progress struct {
	Phase       Phase
	Done, Total int64
}

// OpenStore gives the store in the directory that is scrubbed. Run calls it at
// most once, when it needs the store.
type OpenStore func(ctx context.Context) (*cas.Store, error)
