package stripe

import (
	"context"
	"errors"
	"fmt"

	"github.com/blockmill/blockmill/blockio"
)

// Init makes a stripe of empty shards. When it fails, it leaves them empty.
func Init(ctx context.Context, shards []blockio.Volume, opts Options) error {
	if err := initialise(ctx, shards, opts.withDefaults()); err != nil {
		return fmt.Errorf("make stripe: %w", err)
	}
	return nil
}

func initialise(ctx context.Context, shards []blockio.Volume, opts Options) error {
	geo := geometry{k: opts.K, m: opts.M, unit: opts.Unit}
	if geo.unit == 0 {
		geo.unit = DefaultUnit
	}
	if err := geo.validate(); err != nil {
		return err
	}
	members, err := newMembers(shards, geo.shards(), opts)
	if err != nil {
		return err
	}
	set := opts.SetID
	if set == (SetID{}) {
		if set, err = opts.drawID(); err != nil {
			return err
		}
	}
	id := identity{set: set, geo: geo, epoch: 1, floor: 1}
	for _, m := range members {
		if !m.present() {
			return m.wrap(errMissing)
		}
		if err := requireEmpty(ctx, m.vol); err != nil {
			return m.wrap(err)
		}
		id.members.add(m.index)
	}
	for i, m := range members {
		id.index = i
		if err := blockio.WriteObject(ctx, m.vol, identityName, id.encode()); err != nil {
			return errors.Join(m.wrap(err), dropIdentities(ctx, members[:i]))
		}
	}
	return nil
}

// newMembers checks that there are as many shards as the shape wants, and that
// they can do what a stripe needs.
func newMembers(shards []blockio.Volume, n int, opts Options) ([]*member, error) {
	if len(shards) != n {
		return nil, fmt.Errorf("%d shards for %d: %w", len(shards), n, errGeometry)
	}
	members := make([]*member, n)
	for i, s := range shards {
		m := &member{index: i, label: opts.label(i), log: opts.Logger}
		if s != nil {
			vol, ok := s.(shardVolume)
			if !ok {
				return nil, m.wrap(fmt.Errorf("%T cannot replace objects or list their kinds: %w", s, errors.ErrUnsupported))
			}
			m.vol = vol
		}
		members[i] = m
	}
	return members, nil
}

var errNotEmpty = errors.New("is not empty")

// requireEmpty says with errNotEmpty that a volume holds an object.
func requireEmpty(ctx context.Context, v shardVolume) error {
	kinds, err := v.Kinds(ctx)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		for e, err := range v.List(ctx, kind) {
			if err != nil {
				return err
			}
			return fmt.Errorf("%w: it holds %s", errNotEmpty, e.Name)
		}
	}
	return nil
}

func dropIdentities(ctx context.Context, members []*member) error {
	var errs []error
	for _, m := range members {
		errs = append(errs, m.wrap(m.vol.Remove(context.WithoutCancel(ctx), identityName)))
	}
	return errors.Join(errs...)
}
