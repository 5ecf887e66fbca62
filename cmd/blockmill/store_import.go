package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/pool"
)

// imported is the answer of an import. Sizes are in bytes.
type imported struct {
	ID          pool.ImageID `json:"id"`
	Name        string       `json:"name"`
	Digest      cas.Digest   `json:"digest"`
	VirtualSize int64        `json:"virtual_size"`
	StorageSize int64        `json:"storage_size"`
	Chunks      int64        `json:"chunks"`
	NewChunks   int64        `json:"new_chunks"`
	NewBytes    int64        `json:"new_bytes"`
	StoredBytes int64        `json:"stored_bytes"`
	Seconds     float64      `json:"seconds"`
}

func (a *app) storeImportCommand() *cobra.Command {
	var src sourceFlags
	var run runFlags
	var expect expectFlag
	var name string
	cmd := &cobra.Command{
		Use:   "import --store S [-f FMT] [--name N] SRC",
		Short: "Put an image into a store",
		Long: `Put an image into a store. What the store has already, of this image or another,
is not stored again. When the command succeeds the image is durable; when it
does not, the store is as it was.`,
		Example: `  blockmill store import --store /srv/images --name debian debian.qcow2
  blockmill store import --store /srv/images -f raw /dev/vg0/disk`,
		Args: cobra.ExactArgs(1),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			if err := pool.CheckName(name); err != nil {
				return usageError{err}
			}
			if err := expect.validate(); err != nil {
				return err
			}
			s, err := a.openSource(cmd.Context(), args[0], src)
			if err != nil {
				return err
			}
			defer s.close()
			a.guard = true
			var result imported
			err = a.withCatalog(cmd.Context(), func(store *openStore, catalog *pool.Catalog) error {
				var err error
				if err = catalog.Available(name); err != nil {
					return err
				}
				result, err = a.importImage(cmd.Context(), store, catalog, importing{s, name, run, expect})
				return err
			})
			if err != nil {
				return fmt.Errorf("import %s: %w", s.name, err)
			}
			return a.print(result, result.table)
		}),
	}
	src.add(cmd)
	run.add(cmd)
	expect.add(cmd)
	cmd.Flags().Var(&a.reserve, "reserve", "space to leave free on the disks of the store: auto (64M or 1%), or a size")
	cmd.Flags().BoolVar(&a.encodeAll, "encode-all", false, "compress every chunk now, also when that holds up the import; store gc --recompress does it later")
	cmd.Flags().StringVar(&name, "name", "", "name of the image, one that no other image has")
	return cmd
}

// importing is an import.
type importing struct {
	source *source
	name   string
	run    runFlags
	expect expectFlag
}

// importImage stores an image and lists it. The session stays open until the
// record is written, so that no collection takes the image in between.
func (a *app) importImage(ctx context.Context, store *openStore, catalog *pool.Catalog, in importing) (result imported, err error) {
	start := time.Now()
	session, err := store.Begin(ctx)
	if err != nil {
		return imported{}, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	opts, stop := a.options(in.run, "import")
	defer stop()
	info, err := convert.Import(ctx, session, in.source, opts)
	if err == nil {
		err = in.expect.check(info.Digest)
	}
	if err != nil {
		return imported{}, err
	}
	img, err := catalog.Add(ctx, pool.Image{
		Meta: pool.Meta[pool.ImageID]{Name: in.name, CreatedAt: start.UTC().Truncate(time.Second)},
		Contents: pool.Contents{
			Digest: info.Digest, Manifest: info.ID,
			VirtualSize: info.Size, StorageSize: info.DataBytes, Chunks: info.Chunks,
		},
		Format: in.source.format,
	})
	return imported{
		ID: img.ID, Name: img.Name, Digest: img.Digest,
		VirtualSize: img.VirtualSize, StorageSize: img.StorageSize,
		Chunks: info.Chunks, NewChunks: info.NewChunks, NewBytes: info.NewBytes, StoredBytes: info.StoredBytes,
		Seconds: time.Since(start).Seconds(),
	}, err
}

func (r *imported) table(w io.Writer) {
	row(w, "id", r.ID)
	row(w, "name", r.Name)
	row(w, "digest", r.Digest)
	row(w, "virtual size", human(r.VirtualSize))
	row(w, "storage size", human(r.StorageSize))
	row(w, "chunks", fmt.Sprintf("%d, %d new", r.Chunks, r.NewChunks))
	row(w, "new", fmt.Sprintf("%s, stored in %s", human(r.NewBytes), human(r.StoredBytes)))
	row(w, "seconds", fmt.Sprintf("%.2f", r.Seconds))
}
