package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/blockio/storedir"
)

// openStore is an open store in its directory.
type openStore struct {
	*cas.Store
	dir *storedir.Dir
}

// shardSystem, where tests set it, gives what stands between a shard and its
// directory: the process is the real one, and its disks are not.
var shardSystem func(shard int, inner blockio.FileSystem) blockio.FileSystem

var errNoStoreFlag = usageError{errors.New("which store? name its directory with --store")}

// openDir opens the directory that --store names, and warns when it is not as it
// should be.
func (a *app) openDir(ctx context.Context, fill bool) (*storedir.Dir, error) {
	if a.storePath == "" {
		return nil, errNoStoreFlag
	}
	d, err := storedir.Open(ctx, a.storePath, storedir.Options{
		Arena: a.sharedArena(), Fill: fill, FileSystem: shardSystem,
	})
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", a.storePath, err)
	}
	if wrong := d.Degraded(); wrong != "" && !fill {
		fmt.Fprintf(a.stderr, "blockmill: warning: store %s is degraded: %s\n", a.storePath, oneLine(errors.New(wrong)))
	}
	return d, nil
}

// withDir opens the store's directory, but not the store in it, for the time of
// body.
func (a *app) withDir(ctx context.Context, fill bool, body func(d *storedir.Dir) error) (err error) {
	d, err := a.openDir(ctx, fill)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close(ctx)) }()
	return body(d)
}

// openStore opens the store that --store names.
func (a *app) openStore(ctx context.Context) (*openStore, error) {
	d, err := a.openDir(ctx, false)
	if err != nil {
		return nil, err
	}
	s, err := a.openIn(ctx, d)
	if err != nil {
		return nil, errors.Join(err, d.Close(ctx))
	}
	return s, nil
}

// openIn opens the store in an open directory.
func (a *app) openIn(ctx context.Context, d *storedir.Dir) (*openStore, error) {
	s, err := cas.Open(ctx, a.storeOptions(d))
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", a.storePath, unwrapAct(err))
	}
	return &openStore{Store: s, dir: d}, nil
}

const (
	// writeMemory bounds the write buffers of a store, which are whole rows.
	writeMemory = 32 << 20
	// writeSize is how much is written at a time to a single shard, whose rows
	// lie in one piece: with 1 MiB an import took about a tenth longer.
	writeSize = 4 << 20
)

// storeOptions are those of the store in a directory.
func (a *app) storeOptions(d *storedir.Dir) cas.Options {
	opts := cas.Options{Volume: d.Volume, IndexDir: d.Index(), Arena: a.sharedArena(), EncodeAll: a.encodeAll}
	if a.guard {
		opts.Volume = d.Guarded(int64(a.reserve))
	}
	row := d.Layout().Data * d.Layout().Unit
	if len(d.Layout().Shards) == 1 {
		row *= (writeSize + row - 1) / row
		opts.WriteSize = row
	}
	if row > 1<<20 {
		opts.Buffers = min(max(4, writeMemory/row), 16)
	}
	if free, _ := storedir.Space(a.storePath); free < indexSpace {
		opts.IndexDir = ""
	}
	return opts
}

// indexSpace is the free space in bytes below which the index on disk is left
// alone and one in memory is made for the time being. The database under it
// writes through mapped files: a disk that fills up would end the process, and
// with it the collection that could give space back.
const indexSpace = 64 << 20

// close closes the store and its directory. Damage that reads have met, and
// repaired for themselves, is news.
func (a *app) closeStore(ctx context.Context, s *openStore) error {
	err := s.Close()
	if n := s.dir.Volume.Stats().Queued; n > 0 && s.dir.Layout().Parity > 0 {
		fmt.Fprintf(a.stderr, "blockmill: warning: store %s: %d objects are damaged or incomplete; run store scrub --repair\n", a.storePath, n)
	}
	return errors.Join(err, s.dir.Close(ctx))
}
