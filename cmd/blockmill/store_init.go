package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio/cas"
)

// shardFlags are for stores over several directories.
type shardFlags struct {
	shards       []string
	data, parity int
	shared       bool
}

var errShards = errors.New("a store has one directory, its own: several, and parity, are not there yet")

func (f *shardFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.shards, "shard", nil, "a directory for a shard; once for each")
	cmd.Flags().IntVar(&f.data, "data", 1, "shards that hold data")
	cmd.Flags().IntVar(&f.parity, "parity", 0, "shards that may be lost")
	cmd.Flags().BoolVar(&f.shared, "allow-shared-device", false, "allow shards that share a device")
}

func (f *shardFlags) check() error {
	if len(f.shards) > 0 || f.data != 1 || f.parity != 0 {
		return usageError{fmt.Errorf("init store: %w", errShards)}
	}
	return nil
}

func (a *app) storeInitCommand() *cobra.Command {
	var shards shardFlags
	cmd := &cobra.Command{
		Use:     "init --store S",
		Short:   "Make a store",
		Example: `  blockmill store init --store /srv/images`,
		Args:    cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			if a.storePath == "" {
				return errNoStoreFlag
			}
			if err := shards.check(); err != nil {
				return err
			}
			if err := initStore(cmd.Context(), a.storePath); err != nil {
				return fmt.Errorf("init store %s: %w", a.storePath, err)
			}
			result := struct {
				Store  string `json:"store"`
				Data   int    `json:"data"`
				Parity int    `json:"parity"`
			}{a.storePath, 1, 0}
			return a.print(result, func(w io.Writer) { fmt.Fprintf(w, "made store %s\n", a.storePath) })
		}),
	}
	shards.add(cmd)
	return cmd
}

// initStore makes the store's directories as far as they are missing, and the
// store in them: one that was begun and not finished is finished.
func initStore(ctx context.Context, dir string) (err error) {
	if err := os.MkdirAll(filepath.Join(dir, volumeDir), 0o750); err != nil {
		return err
	}
	s := &openStore{}
	opts, err := s.enter(dir)
	if err != nil {
		return err
	}
	opts.Creator = creator()
	defer func() { err = errors.Join(err, s.lock.Unlock()) }()
	if err := cas.Init(ctx, opts); err != nil {
		return unwrapAct(err)
	}
	return errors.Join(syncDir(dir), syncDir(filepath.Dir(filepath.Clean(dir))))
}
