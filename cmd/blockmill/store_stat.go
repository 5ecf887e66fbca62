package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/pool"
)

// storeStat is the answer of stat. Sizes are in bytes.
type storeStat struct {
	LogicalBytes     int64       `json:"logical_bytes"` // the images' virtual sizes
	DataBytes        int64       `json:"data_bytes"`    // what is not zero in them
	UniqueBytes      int64       `json:"unique_bytes"`  // what their chunks hold, each counted once
	StoredBytes      int64       `json:"stored_bytes"`  // what those take
	ReclaimableBytes int64       `json:"reclaimable_bytes"`
	Images           int         `json:"images"`
	Chunks           int64       `json:"chunks"`
	Segments         int64       `json:"segments"`
	Shards           []shardStat `json:"shards"`
}

// shardStat is the state of one of a store's directories.
type shardStat struct {
	Path  string `json:"path"`
	State string `json:"state"`
}

func (a *app) storeStatCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stat --store S",
		Short: "Show what a store holds and what it takes",
		Long: `Show what a store holds: the virtual sizes of its images (logical), what their
chunks hold with each counted once (unique), what those take (stored), and what
gc can give back (reclaimable).`,
		Example: `  blockmill store stat --store /srv/images`,
		Args:    cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			return a.withCatalog(cmd.Context(), func(s *openStore, catalog *pool.Catalog) error {
				stat, err := s.Stat(cmd.Context())
				if err != nil {
					return fmt.Errorf("stat store %s: %w", a.storePath, unwrapAct(err))
				}
				result := storeStat{
					LogicalBytes: stat.LogicalBytes, DataBytes: stat.DataBytes,
					UniqueBytes: stat.UniqueBytes, StoredBytes: stat.StoredBytes,
					ReclaimableBytes: stat.ReclaimableBytes, Images: len(catalog.Images()),
					Chunks: stat.Chunks, Segments: stat.Segments,
					Shards: []shardStat{{Path: s.path, State: "online"}},
				}
				return a.print(result, result.table)
			})
		}),
	}
}

func (r *storeStat) table(w io.Writer) {
	row(w, "logical", human(r.LogicalBytes))
	row(w, "data", human(r.DataBytes))
	row(w, "unique", human(r.UniqueBytes))
	row(w, "stored", human(r.StoredBytes))
	row(w, "reclaimable", human(r.ReclaimableBytes))
	row(w, "images", r.Images)
	row(w, "chunks", r.Chunks)
	row(w, "segments", r.Segments)
	for _, s := range r.Shards {
		row(w, "shard", s.Path+" "+s.State)
	}
}
