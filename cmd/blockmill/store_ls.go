package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool"
)

// listed is an image as ls shows it.
type listed struct {
	pool.Image
	// FreedBytes are what removing the image, and no other, would free; with
	// -l only.
	FreedBytes *int64 `json:"freed_bytes,omitempty"`
}

func (a *app) storeListCommand() *cobra.Command {
	var long bool
	cmd := &cobra.Command{
		Use:   "ls --store S [-l]",
		Short: "List the images of a store",
		Long: `List the images of a store, the oldest first. With -l also their digests and the
bytes that removing each, and no other, would free.`,
		Example: `  blockmill store ls --store /srv/images`,
		Args:    cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			return a.withCatalog(cmd.Context(), func(s *openStore, catalog *pool.Catalog) error {
				images, err := list(cmd.Context(), s, catalog, long)
				if err != nil {
					return fmt.Errorf("list store %s: %w", a.storePath, unwrapAct(err))
				}
				err = a.print(images, func(w io.Writer) { listTable(w, images, long) })
				// What can be read is shown, whatever the rest is like.
				return errors.Join(err, catalog.Damage())
			})
		}),
	}
	cmd.Flags().BoolVarP(&long, "long", "l", false, "with digests and the bytes that removing each would free")
	return cmd
}

// list gives the images; what their removal frees takes a reading of all
// manifests.
func list(ctx context.Context, s *openStore, catalog *pool.Catalog, long bool) ([]listed, error) {
	freed := make(map[cas.ManifestID]int64)
	if long {
		stat, err := s.Stat(ctx)
		if err != nil {
			return nil, err
		}
		for _, img := range stat.Images {
			freed[img.ID] = img.FreedBytes + img.ManifestBytes
		}
	}
	images := []listed{}
	for _, img := range catalog.Images() {
		l := listed{Image: img}
		if n, ok := freed[img.Manifest]; ok {
			l.FreedBytes = &n
		}
		images = append(images, l)
	}
	return images, nil
}

func listTable(w io.Writer, images []listed, long bool) {
	head := []any{"ID", "NAME", "VIRTUAL SIZE", "STORAGE SIZE", "FORMAT", "CREATED"}
	if long {
		head = append(head, "FREED", "DIGEST")
	}
	row(w, head...)
	for _, img := range images {
		cells := []any{img.ID, img.Name, human(img.VirtualSize), human(img.StorageSize), img.Format, img.CreatedAt.Format(time.RFC3339)}
		if long && img.FreedBytes != nil {
			cells = append(cells, human(*img.FreedBytes), img.Digest)
		}
		row(w, cells...)
	}
}
