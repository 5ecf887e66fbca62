package main

import (
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/pool"
)

func (a *app) storeListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ls --store S",
		Short:   "List the images of a store",
		Example: `  blockmill store ls --store /srv/images`,
		Args:    cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			return a.withCatalog(cmd.Context(), func(_ *openStore, catalog *pool.Catalog) error {
				images := catalog.Images()
				err := a.print(images, func(w io.Writer) { imagesTable(w, images) })
				// What can be read is shown, whatever the rest is like.
				return errors.Join(err, catalog.Damage())
			})
		}),
	}
	return cmd
}

func imagesTable(w io.Writer, images []pool.Image) {
	row(w, "ID", "NAME", "VIRTUAL SIZE", "STORAGE SIZE", "FORMAT", "CREATED")
	for _, img := range images {
		row(w, img.ID, img.Name, human(img.VirtualSize), human(img.StorageSize), img.Format, img.CreatedAt.Format(time.RFC3339))
	}
}
