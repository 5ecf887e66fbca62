package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio/nbd"
	"github.com/blockmill/blockmill/pool"
)

func (a *app) storeServeCommand() *cobra.Command {
	var flags serveFlags
	cmd := &cobra.Command{
		Use:   "serve --store S [--socket P | --listen ADDR] IMAGE",
		Short: "Serve an image of a store to NBD clients, read-only",
		Long: `Serve an image, given by its name or id, to NBD clients, until a signal comes.
It can be read only, and every byte is checked. What it does not hold is told
to clients without a look at data. The store is open meanwhile, and nobody
else can use it.`,
		Example: `  blockmill store serve --store /srv/images --socket debian.sock debian
  nbdcopy 'nbd+unix:///debian?socket=debian.sock' debian.raw`,
		Args: cobra.ExactArgs(1),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			err := a.withCatalog(cmd.Context(), func(store *openStore, catalog *pool.Catalog) error {
				img, err := catalog.Find(args[0])
				if err != nil {
					return err
				}
				return a.serveImage(cmd.Context(), store, img, flags)
			})
			if err != nil {
				return fmt.Errorf("serve %s: %w", args[0], err)
			}
			return nil
		}),
	}
	flags.add(cmd)
	return cmd
}

// serveImage serves an image under its name and its id.
func (a *app) serveImage(ctx context.Context, store *openStore, img pool.Image, flags serveFlags) (err error) {
	src, err := store.OpenImage(ctx, img.Manifest)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	export := nbd.Export{
		Listing: nbd.Listing{Name: string(img.ID), Description: "digest " + img.Digest.String()},
		Device:  src, ReadOnly: true, PreferredBlock: preferredRead,
	}
	exports := nbd.List{export}
	if img.Name != "" {
		named := export
		named.Name = img.Name
		exports = nbd.List{named, export}
	}
	return a.serve(ctx, exports, flags)
}

// preferredRead is the size in bytes of reads that the store likes: a mean
// chunk.
const preferredRead = 64 << 10
