package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/pool"
)

// storeCommand holds the commands on a store; --store is theirs in common.
func (a *app) storeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Work on a store of images",
		Long: `Work on a store: a directory that keeps images as deduplicated, compressed
chunks, in itself or striped over shards, directories on several disks. One
process at a time opens a store.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&a.storePath, "store", "", "the store's directory (required)")
	cmd.AddCommand(a.storeInitCommand(), a.storeImportCommand(), a.storeExportCommand(), a.storeListCommand(),
		a.storeRemoveCommand(), a.storeStatCommand(), a.storeGCCommand(), a.storeVerifyCommand(),
		a.storeRebuildCommand(), a.storeCheckCommand(), a.storeScrubCommand(), a.storeHealCommand(),
		a.storeReplaceCommand(), a.storeServeCommand())
	return cmd
}

// withStore opens the store for the time of body.
func (a *app) withStore(ctx context.Context, body func(s *openStore) error) (err error) {
	s, err := a.openStore(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := a.closeStore(ctx, s); err == nil && closeErr != nil {
			err = fmt.Errorf("close store %s: %w", a.storePath, closeErr)
		}
	}()
	return body(s)
}

// withCatalog opens the store and the list of its images.
func (a *app) withCatalog(ctx context.Context, body func(s *openStore, c *pool.Catalog) error) error {
	return a.withStore(ctx, func(s *openStore) error {
		catalog, err := pool.OpenCatalog(ctx, s.Store)
		if err != nil {
			return err
		}
		return body(s, catalog)
	})
}
