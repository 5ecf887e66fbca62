package storedir

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// Adopt makes the description of a store again from its shards, which may be
// given in any order; those that are lost may be left out. ErrExists when the
// directory has a description.
func Adopt(ctx context.Context, dir string, shards []string, sharedDevices bool) (l Layout, err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return l, err
	}
	lock, err := blockio.LockDir(dir)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if _, err := readLayout(dir); err == nil {
		return l, ErrExists
	}
	l.SharedDevices = sharedDevices
	for _, s := range shards {
		id, err := identify(ctx, s)
		if err != nil {
			return l, err
		}
		if l.Shards == nil {
			l.Set, l.Data, l.Parity, l.Unit = id.Set, id.K, id.M, id.Unit
			l.Shards = make([]string, id.K+id.M)
		}
		if id.Set != l.Set || id.Index >= len(l.Shards) {
			return l, fmt.Errorf("shard %s: %w: it is of set %s, %s is of %s", s, stripe.ErrForeign, id.Set, shards[0], l.Set)
		}
		if l.Shards[id.Index] != "" {
			return l, fmt.Errorf("%w: %s and %s are both shard %d", ErrShards, l.Shards[id.Index], s, id.Index)
		}
		if l.Shards[id.Index], err = keep(dir, s); err != nil {
			return l, err
		}
	}
	if len(shards) < max(l.Data, 1) {
		return l, fmt.Errorf("%w: %d directories of %d+%d", ErrShards, len(shards), l.Data, l.Parity)
	}
	if !sharedDevices {
		if err := separate(shards); err != nil {
			return l, err
		}
	}
	return l, writeLayout(dir, l)
}

// Replace gives a shard another directory: where it was moved to, or an empty
// one that takes the place of a lost shard and is to be filled by healing.
func Replace(ctx context.Context, dir string, index int, shard string) (err error) {
	if _, err := readLayout(dir); err != nil { // before anything is locked
		return err
	}
	lock, err := blockio.LockDir(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	l, err := readLayout(dir)
	if err != nil {
		return err
	}
	if index < 0 || index >= len(l.Shards) {
		return fmt.Errorf("%w: there is no shard %d of %d+%d, counted from 0", ErrShards, index, l.Data, l.Parity)
	}
	if err := fits(ctx, l, index, shard); err != nil {
		return err
	}
	if l.Shards[index], err = keep(dir, shard); err != nil {
		return err
	}
	if !l.SharedDevices {
		var all []string
		for _, s := range l.Shards {
			all = append(all, locate(dir, s))
		}
		if err := separate(all); err != nil {
			return err
		}
	}
	// What could not be opened is not written down.
	d := &Dir{path: dir, layout: l}
	if err := d.openVolume(ctx, Options{Fill: true}); err != nil {
		return errors.Join(err, d.closeShards())
	}
	if err := errors.Join(d.Volume.Close(ctx), d.closeShards()); err != nil {
		return err
	}
	return writeLayout(dir, l)
}

// fits checks that a directory is empty, or the shard of a position.
func fits(ctx context.Context, l Layout, index int, shard string) error {
	if err := os.MkdirAll(shard, 0o750); err != nil {
		return err
	}
	if empty, err := isEmpty(shard); err != nil || empty {
		return err
	}
	id, err := identify(ctx, shard)
	if err != nil {
		return err
	}
	if id.Set != l.Set || id.Index != index {
		return fmt.Errorf("shard %s: %w: it is shard %d of set %s", shard, stripe.ErrForeign, id.Index, id.Set)
	}
	return nil
}
