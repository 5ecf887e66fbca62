package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/blockio/storedir"
	"github.com/blockmill/blockmill/cmd/release"
)

// store is the open store with its directory.
type store struct {
	*cas.Store
	dir *storedir.Dir
}

// writeMemory bounds the write buffers of a store, which are whole rows.
const writeMemory = 32 << 20

// storeOptions say how to open the store.
type storeOptions struct {
	arena *blockio.Arena
	log   *slog.Logger
	// create makes a store when there is none.
	create bool
}

// openStore opens the store in dir.
func openStore(ctx context.Context, dir string, c storeConfig, o storeOptions) (*store, error) {
	arena, log := o.arena, o.log
	d, err := storedir.Open(ctx, dir, storedir.Options{Arena: arena, Logger: log, Journal: true})
	if o.create && errors.Is(err, storedir.ErrNoStore) {
		d, err = initStore(ctx, dir, c, arena, log)
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	warnOfShape(d.Layout(), c, log)
	if wrong := d.Degraded(); wrong != "" {
		log.Warn("the store is degraded", "store", dir, "reason", wrong)
	}
	opts := cas.Options{
		Volume: d.Guarded(int64(c.Reserve)), IndexDir: d.Index(), Arena: arena, Logger: log, Creator: release.Creator("blockmilld", version),
		EncodeAll: c.EncodeAll, Computing: importsComputing(),
	}
	if row := d.Layout().Data * d.Layout().Unit; row > 1<<20 {
		opts.Buffers = min(max(4, writeMemory/row), 16)
	}
	s, err := cas.Open(ctx, opts)
	if o.create && errors.Is(err, cas.ErrNoStore) {
		// The first start was cut short.
		if err = cas.Init(ctx, opts); err == nil {
			s, err = cas.Open(ctx, opts)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", dir, err), d.Close(ctx))
	}
	return &store{s, d}, nil
}

// initStore makes a store of the configured shape, or finishes one that was
// begun.
func initStore(ctx context.Context, dir string, c storeConfig, arena *blockio.Arena, log *slog.Logger) (*storedir.Dir, error) {
	var shape storedir.Shape
	if len(c.Shards) > 0 {
		shape = storedir.Shape{Data: c.Data, Parity: c.Parity, Shards: c.Shards, SharedDevices: c.AllowSharedDevice}
	}
	if err := storedir.Init(ctx, dir, shape); err != nil {
		return nil, err
	}
	d, err := storedir.Open(ctx, dir, storedir.Options{Arena: arena, Logger: log, Journal: true})
	if err != nil {
		return nil, err
	}
	log.Info("a store was made", "store", dir, "data", d.Layout().Data, "parity", d.Layout().Parity)
	return d, nil
}

// warnOfShape tells who configured another shape than that of the store: what is
// said of a store that is there is not used.
func warnOfShape(l storedir.Layout, c storeConfig, log *slog.Logger) {
	if len(c.Shards) > 0 && (c.Data != l.Data || c.Parity != l.Parity) {
		log.Warn("the store has another shape than the configuration says, which it keeps",
			"data", l.Data, "parity", l.Parity, "configured_data", c.Data, "configured_parity", c.Parity)
	}
}

// close closes the store and unlocks its directory.
func (s *store) close(ctx context.Context) error {
	return errors.Join(s.Close(), s.dir.Close(ctx))
}
