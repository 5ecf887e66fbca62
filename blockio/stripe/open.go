package stripe

import (
	"context"
	"errors"
	"fmt"

	"github.com/klauspost/reedsolomon"

	"github.com/blockmill/blockmill/blockio"
)

// Open opens a stripe. Shards come in the order in which Init got them; nil is
// one that is missing. An empty volume is one that replaces a lost shard: it
// takes its place with the first change, and Heal fills it. Any other volume
// that is no shard of this stripe at this position is refused.
//
// Open changes nothing on the shards.
func Open(ctx context.Context, shards []blockio.Volume, opts Options) (*Volume, error) {
	v, err := open(ctx, shards, opts.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("open stripe: %w", err)
	}
	return v, nil
}

func open(ctx context.Context, shards []blockio.Volume, opts Options) (*Volume, error) {
	members, err := newMembers(shards, len(shards), opts)
	if err != nil {
		return nil, err
	}
	ids, err := readIdentities(ctx, members)
	if err != nil {
		return nil, err
	}
	ref, err := reference(ids, opts)
	if err != nil {
		return nil, errors.Join(err, failures(members))
	}
	if err := refuseStrangers(members, ids, ref); err != nil {
		return nil, err
	}
	if have := countUsable(members); have < ref.geo.k {
		return nil, &LostError{Object: "stripe " + ref.set.String(), Row: -1, Have: have, Need: ref.geo.k, Err: failures(members)}
	}
	v := &Volume{
		geo: ref.geo, set: ref.set, opts: opts, members: members, log: opts.Logger,
		arena: opts.Arena, zeros: make([]byte, ref.geo.k*blockio.BlockSize),
	}
	v.membership.init(members, ids)
	if v.arena == nil {
		v.arena = blockio.NewArena(ownArena + 4*int64(ref.geo.shards())*int64(ref.geo.unit))
	}
	if ref.geo.m > 0 {
		if v.enc, err = newEncoder(ref.geo); err != nil {
			return nil, err
		}
	}
	// One row is reserved, and whoever rebuilds takes another, both rounded up
	// to a power of two.
	if least := 4 * int64(ref.geo.shards()) * int64(ref.geo.unit); v.arena.Limit() < least {
		return nil, fmt.Errorf("the arena has %d bytes, rows of %d shards of %d bytes need %d",
			v.arena.Limit(), ref.geo.shards(), ref.geo.unit, least)
	}
	if v.scratch, err = newScratch(ctx, v.arena, ref.geo.shards()*ref.geo.unit); err != nil {
		return nil, err
	}
	v.rows = newRowCache(v.arena, ref.geo)
	return v, nil
}

// newEncoder makes the erasure code. The matrix is part of the format. Callers
// are parallel already, so one call stays on one processor.
func newEncoder(g geometry) (reedsolomon.Encoder, error) {
	return reedsolomon.New(g.k, g.m, reedsolomon.WithMaxGoroutines(1))
}

// readIdentities reads the identity of each present member; nil is none, of a
// member that is missing, empty or damaged. A member whose identity cannot be
// read counts as missing.
func readIdentities(ctx context.Context, members []*member) ([]*identity, error) {
	ids := make([]*identity, len(members))
	errs := make([]error, len(members))
	each(members, nil, func(m *member) {
		ids[m.index], errs[m.index] = readIdentity(ctx, m)
	})
	for i, err := range errs {
		switch {
		case err == nil || errors.Is(err, ErrCorrupt):
			// Damage is no reason to refuse: objects tell for themselves.
			_ = members[i].note(err)
		case errors.Is(err, ErrForeign) || errors.Is(err, ErrNewerVersion) || ctx.Err() != nil:
			return nil, members[i].wrap(err)
		default:
			_ = members[i].note(err)
			members[i].vol = nil
		}
	}
	return ids, nil
}

func readIdentity(ctx context.Context, m *member) (*identity, error) {
	p, err := blockio.ReadObject(ctx, m.vol, identityName, blockio.BlockSize)
	switch {
	case errors.Is(err, blockio.ErrNotFound):
		err := requireEmpty(ctx, m.vol)
		if errors.Is(err, errNotEmpty) {
			return nil, fmt.Errorf("%w: it has no identity, and %w", ErrForeign, err)
		}
		m.adopt = err == nil
		return nil, err
	case errors.Is(err, blockio.ErrTooLarge):
		return nil, corrupt(identityName, 0, "%v", err)
	case err != nil:
		return nil, err
	}
	id, err := parseIdentity(p)
	if err != nil {
		return nil, err
	}
	return &id, nil
}

// reference is the set and the shape that most identities agree on, or that the
// options demand.
func reference(ids []*identity, opts Options) (identity, error) {
	type shape struct {
		set SetID
		geo geometry
	}
	votes := map[shape]int{}
	var ref identity
	most := 0
	for _, id := range ids {
		if id == nil || opts.SetID != (SetID{}) && id.set != opts.SetID {
			continue
		}
		s := shape{id.set, id.geo}
		if votes[s]++; votes[s] > most {
			most, ref = votes[s], identity{set: s.set, geo: s.geo}
		}
	}
	if most == 0 {
		return ref, ErrNoStripe
	}
	if ref.geo.shards() != len(ids) {
		return ref, fmt.Errorf("%d directories for a stripe of %d+%d: %w", len(ids), ref.geo.k, ref.geo.m, errGeometry)
	}
	if opts.K+opts.M != 0 && (opts.K != ref.geo.k || opts.M != ref.geo.m) || opts.Unit != 0 && opts.Unit != ref.geo.unit {
		return ref, fmt.Errorf("the shards are of %d+%d with units of %d bytes: %w", ref.geo.k, ref.geo.m, ref.geo.unit, errGeometry)
	}
	return ref, nil
}

// refuseStrangers names every shard that is of another set, of another shape or
// at another position.
func refuseStrangers(members []*member, ids []*identity, ref identity) error {
	var errs []error
	for i, id := range ids {
		var err error
		switch {
		case id == nil:
			continue
		case id.set != ref.set:
			err = fmt.Errorf("%w: it is of set %s, expected %s", ErrForeign, id.set, ref.set)
		case id.geo != ref.geo:
			err = fmt.Errorf("%w: it is of %d+%d with units of %d bytes, expected %d+%d and %d", ErrForeign,
				id.geo.k, id.geo.m, id.geo.unit, ref.geo.k, ref.geo.m, ref.geo.unit)
		case id.index != i:
			err = fmt.Errorf("%w at this position: it is shard %d of the set", ErrForeign, id.index)
		}
		errs = append(errs, members[i].wrap(err))
	}
	return errors.Join(errs...)
}

// countUsable counts the members that may hold objects.
func countUsable(members []*member) int {
	n := 0
	for _, m := range members {
		if m.present() && !m.adopt {
			n++
		}
	}
	return n
}

// failures joins what is known of members that are of no use.
func failures(members []*member) error {
	var errs []error
	for _, m := range members {
		_, failure := m.lastFailure()
		switch {
		case failure != nil:
			errs = append(errs, m.wrap(failure))
		case !m.present():
			errs = append(errs, m.wrap(errMissing))
		case m.adopt:
			errs = append(errs, m.wrap(errors.New("the shard is empty")))
		}
	}
	return errors.Join(errs...)
}
