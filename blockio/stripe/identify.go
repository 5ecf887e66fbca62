package stripe

import (
	"context"
	"errors"
	"fmt"

	"github.com/blockmill/blockmill/blockio"
)

// Identity says which shard of which stripe a volume is.
type Identity struct {
	Set  SetID
	K, M int
	// Unit is the bytes of a full row on one shard.
	Unit int
	// Index is the position of the shard, from 0.
	Index int
}

// Identify reads the identity of a shard: ErrNoStripe of an empty volume,
// ErrForeign of one with objects of something else.
func Identify(ctx context.Context, v blockio.Volume) (Identity, error) {
	vol, ok := v.(shardVolume)
	if !ok {
		return Identity{}, fmt.Errorf("identify shard: %T cannot list kinds: %w", v, errors.ErrUnsupported)
	}
	id, err := readIdentity(ctx, &member{vol: vol})
	if err == nil && id == nil {
		err = ErrNoStripe
	}
	if err != nil {
		return Identity{}, fmt.Errorf("identify shard: %w", err)
	}
	return Identity{Set: id.set, K: id.geo.k, M: id.geo.m, Unit: id.geo.unit, Index: id.index}, nil
}
