package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio/scrub"
	"github.com/blockmill/blockmill/blockio/stripe"
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
	Data             int         `json:"data"`
	Parity           int         `json:"parity"`
	Shards           []shardStat `json:"shards"`
	Risks            []riskStat  `json:"risks"`
	LastScrub        *time.Time  `json:"last_scrub"`
	LastFullScrub    *time.Time  `json:"last_full_scrub"`
}

// shardStat is the state of one of a store's directories.
type shardStat struct {
	Index int    `json:"index"`
	Path  string `json:"path"`
	State string `json:"state"`
	Bytes int64  `json:"bytes"`
	Error string `json:"error,omitempty"`
}

// riskStat is what would survive the loss of so many more shards, and no more.
// Survives is -1 for what is lost until missing shards come back, or a leftover
// of a crash.
type riskStat struct {
	Survives int   `json:"survives"`
	Objects  int64 `json:"objects"`
	Bytes    int64 `json:"bytes"`
}

func (a *app) storeStatCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stat --store S",
		Short: "Show what a store holds and what it takes",
		Long: `Show what a store holds: the virtual sizes of its images (logical), what their
chunks hold with each counted once (unique), what those take (stored), and what
gc can give back (reclaimable). Then each shard's directory and state, and how
much would survive how many more losses of shards.`,
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
				}
				if err := result.addShards(cmd.Context(), s); err != nil {
					return fmt.Errorf("stat store %s: %w", a.storePath, unwrapAct(err))
				}
				scrubs := scrub.ReadState(a.storePath)
				result.LastScrub, result.LastFullScrub = known(scrubs.Rows.FinishedAt), known(scrubs.Chunks.FinishedAt)
				return a.print(result, result.table)
			})
		}),
	}
}

// addShards adds what is known of the shards.
func (r *storeStat) addShards(ctx context.Context, s *openStore) error {
	r.Data, r.Parity = s.dir.Layout().Data, s.dir.Layout().Parity
	state, err := s.dir.Volume.State(ctx)
	if err != nil {
		return err
	}
	for i, dir := range s.dir.Shards() {
		st := shardStat{Index: i, Path: dir.Path, State: state.Shards[i].Status.String()}
		if dir.Empty {
			st.State = stripe.ShardEmpty.String()
		}
		if err := cmp.Or(dir.Err, state.Shards[i].Failure); err != nil {
			st.Error = oneLine(err)
		} else if st.Bytes, err = dir.Used(); err != nil {
			st.Error = oneLine(err)
		}
		r.Shards = append(r.Shards, st)
	}
	if u := state.Unreadable; u.Objects > 0 {
		r.Risks = append(r.Risks, riskStat{-1, u.Objects, u.Bytes})
	}
	for n, risk := range state.Risks {
		r.Risks = append(r.Risks, riskStat{n, risk.Objects, risk.Bytes})
	}
	return nil
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
		row(w, fmt.Sprintf("shard %d", s.Index), strings.TrimSpace(fmt.Sprintf("%s %s, %s %s", s.Path, s.State, human(s.Bytes), s.Error)))
	}
	for _, k := range r.Risks {
		if k.Objects > 0 && r.Parity > 0 {
			row(w, fmt.Sprintf("survives %d", k.Survives), fmt.Sprintf("%s in %d objects", human(k.Bytes), k.Objects))
		}
	}
	if r.LastScrub != nil {
		row(w, "last scrub", r.LastScrub.Format(time.RFC3339))
	}
	if r.LastFullScrub != nil {
		row(w, "last full scrub", r.LastFullScrub.Format(time.RFC3339))
	}
}

// known is a time, nil when it is none.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
