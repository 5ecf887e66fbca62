package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/pool"
)

func (a *app) storeRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rm --store S IMAGE",
		Short: "Remove an image from a store",
		Long: `Remove an image, given by its name or id. The space of what no other image needs
is given back by gc.`,
		Example: `  blockmill store rm --store /srv/images debian`,
		Args:    cobra.ExactArgs(1),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			var img pool.Image
			err := a.withCatalog(cmd.Context(), func(_ *openStore, catalog *pool.Catalog) error {
				var err error
				if img, err = catalog.Find(args[0]); err != nil {
					return err
				}
				return catalog.Remove(cmd.Context(), img.ID)
			})
			if err != nil {
				return fmt.Errorf("remove %s: %w", args[0], err)
			}
			result := struct {
				ID   pool.ImageID `json:"id"`
				Name string       `json:"name"`
			}{img.ID, img.Name}
			return a.print(result, func(w io.Writer) { fmt.Fprintf(w, "removed %s\n", img.ID) })
		}),
	}
}
