package stripe

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"

	"github.com/blockmill/blockmill/blockio"
)

// Options are options of Init and Open.
type Options struct {
	// K and M are the numbers of data and parity shards. Open takes them
	// from the shards when both are zero.
	K, M int
	// Unit is the bytes of a full row on one shard, a multiple of
	// blockio.BlockSize; zero is DefaultUnit for Init, and what the shards
	// say for Open.
	Unit int
	// SetID identifies the stripe. Init draws one when it is zero, Open takes
	// any that the shards agree on.
	SetID SetID
	// Labels name the shards, by position, in errors: their directories.
	Labels []string
	// Arena gives the buffers; nil is one of the volume's own. Open, Heal and
	// Scrub wait for it, so their callers must hold no buffer of it; callers
	// of everything else may.
	Arena *blockio.Arena
	// Logger hears of shards that fail, lag and come back; nil is silence.
	Logger *slog.Logger
	// Rand is where ids come from; nil is crypto/rand.Reader.
	Rand io.Reader
}

// ownArena is the limit of an arena that no option gives, beyond what the rows
// in flight need.
const ownArena = 64 << 20

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return o
}

func (o Options) label(i int) string {
	if i < len(o.Labels) {
		return o.Labels[i]
	}
	return ""
}

func (o Options) drawID() (id [16]byte, err error) {
	if _, err := io.ReadFull(o.Rand, id[:]); err != nil {
		return id, fmt.Errorf("draw a random id: %w", err)
	}
	return id, nil
}
