package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/pool"
)

// exported is the answer of an export.
type exported struct {
	ID          pool.ImageID   `json:"id"`
	Name        string         `json:"name"`
	Digest      string         `json:"digest"`
	Format      convert.Format `json:"format"`
	VirtualSize int64          `json:"virtual_size"`
	Seconds     float64        `json:"seconds"`
}

func (a *app) storeExportCommand() *cobra.Command {
	var dst targetFlags
	var run runFlags
	cmd := &cobra.Command{
		Use:   "export --store S [-O FMT] IMAGE DST",
		Short: "Write an image of a store to a file or block device",
		Long: `Write an image, given by its name or id, to a file or block device. What holds
for the destination of convert holds here. Every byte is checked against the
digest under which the store has it.`,
		Example: `  blockmill store export --store /srv/images debian /dev/vg0/disk
  blockmill store export --store /srv/images -O qcow2 debian debian.qcow2`,
		Args: cobra.ExactArgs(2),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			opts, err := dst.options()
			if err != nil {
				return err
			}
			var result exported
			err = a.withCatalog(cmd.Context(), func(store *openStore, catalog *pool.Catalog) error {
				img, err := catalog.Find(args[0])
				if err != nil {
					return err
				}
				start := time.Now()
				if err := a.exportImage(cmd.Context(), store, img, args[1], writing{direct: dst.direct, create: opts, run: run, act: "export"}); err != nil {
					return err
				}
				result = exported{
					ID: img.ID, Name: img.Name, Digest: img.Digest.String(), Format: opts.Format,
					VirtualSize: img.VirtualSize, Seconds: time.Since(start).Seconds(),
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("export %s: %w", args[0], err)
			}
			return a.print(result, func(w io.Writer) {
				fmt.Fprintf(w, "exported %s in %.2f seconds\n", human(result.VirtualSize), result.Seconds)
			})
		}),
	}
	dst.add(cmd)
	cmd.Flags().Var(&dst.direct, "direct", "direct I/O: auto, on or off")
	run.add(cmd)
	return cmd
}

func (a *app) exportImage(ctx context.Context, store *openStore, img pool.Image, path string, how writing) (err error) {
	src, err := store.OpenImage(ctx, img.Manifest)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	t, err := openTarget(path, src.Size(), how.create, how.direct)
	if err != nil {
		return err
	}
	defer t.discard()
	return a.write(ctx, t, src, how)
}
