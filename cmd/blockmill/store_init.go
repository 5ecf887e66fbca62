package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/blockio/storedir"
	"github.com/blockmill/blockmill/cmd/release"
)

// initFlags are for stores over several directories.
type initFlags struct {
	shape storedir.Shape
	adopt bool
}

func (f *initFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.shape.Shards, "shard", nil, "a directory for a shard; once for each, data first")
	cmd.Flags().IntVar(&f.shape.Data, "data", 1, "shards that hold data")
	cmd.Flags().IntVar(&f.shape.Parity, "parity", 0, "shards that may be lost")
	cmd.Flags().BoolVar(&f.shape.SharedDevices, "allow-shared-device", false, "allow shards that share a device")
	cmd.Flags().BoolVar(&f.adopt, "adopt", false, "make the description of an existing store again from its shards")
}

// made is the answer of init.
type made struct {
	Store  string   `json:"store"`
	Data   int      `json:"data"`
	Parity int      `json:"parity"`
	Shards []string `json:"shards"`
}

func (a *app) storeInitCommand() *cobra.Command {
	var flags initFlags
	cmd := &cobra.Command{
		Use:   "init --store S [--shard DIR]… [--data K --parity M]",
		Short: "Make a store",
		Long: `Make a store: in its own directory, or striped over K+M shards, directories of
which any M may be lost. Each should be on a disk of its own; shards that share
a device are refused without --allow-shared-device. The store's directory keeps
a description of the shards and the index, which both can be made again; all
else is in the shards, so redundancy is theirs.

When the description is lost, init --adopt with the directories of the shards,
in any order, makes it again.`,
		Example: `  blockmill store init --store /srv/images
  blockmill store init --store /srv/images --data 2 --parity 1 --shard /disk1/s --shard /disk2/s --shard /disk3/s
  blockmill store init --store /srv/images --adopt --shard /disk2/s --shard /disk3/s --shard /disk1/s`,
		Args: cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			if a.storePath == "" {
				return errNoStoreFlag
			}
			var result made
			var err error
			if flags.adopt {
				result, err = a.adoptStore(cmd.Context(), flags.shape)
			} else {
				result, err = a.initStore(cmd.Context(), flags.shape)
			}
			if err != nil {
				return fmt.Errorf("init store %s: %w", a.storePath, err)
			}
			return a.print(result, func(w io.Writer) { fmt.Fprintf(w, "made store %s\n", a.storePath) })
		}),
	}
	flags.add(cmd)
	return cmd
}

// initStore makes the store's directories as far as they are missing, and the
// store in them: one that was begun and not finished is finished.
func (a *app) initStore(ctx context.Context, shape storedir.Shape) (m made, err error) {
	if err := shape.Check(); err != nil {
		return m, usageError{err}
	}
	if err := storedir.Init(ctx, a.storePath, shape); err != nil {
		return m, err
	}
	d, err := storedir.Open(ctx, a.storePath, storedir.Options{Arena: a.sharedArena(), Fill: true})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, d.Close(ctx)) }()
	opts := a.storeOptions(d)
	opts.Creator = release.Creator("blockmill", version)
	if err := cas.Init(ctx, opts); err != nil {
		return m, unwrapAct(err)
	}
	return a.madeOf(d), nil
}

// adoptStore describes an existing store, and opens it once.
func (a *app) adoptStore(ctx context.Context, shape storedir.Shape) (m made, err error) {
	if len(shape.Shards) == 0 {
		return m, usageError{fmt.Errorf("%w: which directories? name them with --shard", storedir.ErrShards)}
	}
	if _, err := storedir.Adopt(ctx, a.storePath, shape.Shards, shape.SharedDevices); err != nil {
		return m, err
	}
	d, err := a.openDir(ctx, false)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, d.Close(ctx)) }()
	return a.madeOf(d), nil
}

func (a *app) madeOf(d *storedir.Dir) made {
	l := d.Layout()
	m := made{Store: a.storePath, Data: l.Data, Parity: l.Parity}
	for _, s := range d.Shards() {
		m.Shards = append(m.Shards, s.Path)
	}
	return m
}
