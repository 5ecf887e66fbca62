package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio/cas"
)

func (a *app) storeGCCommand() *cobra.Command {
	var recompress bool
	cmd := &cobra.Command{
		Use:   "gc --store S",
		Short: "Give back the space of what no image needs",
		Long: `Remove the chunks that no image needs. Segments of which little is needed are
rewritten; what is needed of them is moved to new ones first.`,
		Example: `  blockmill store gc --store /srv/images`,
		Args:    cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), func(s *openStore) error {
				stats, err := s.GC(cmd.Context(), cas.GCOptions{Recompress: recompress})
				if err != nil {
					return fmt.Errorf("collect garbage of store %s: %w", a.storePath, unwrapAct(err))
				}
				return a.printCollection(stats)
			})
		}),
	}
	cmd.Flags().BoolVar(&recompress, "recompress", false, "compress what is kept better, and slower, where that gains")
	return cmd
}

func (a *app) printCollection(stats cas.GCStats) error {
	result := struct {
		Manifests      int64 `json:"manifests"` // removed
		Segments       int64 `json:"segments"`  // removed
		MovedChunks    int64 `json:"moved_chunks"`
		MovedBytes     int64 `json:"moved_bytes"`
		ReclaimedBytes int64 `json:"reclaimed_bytes"`
	}{stats.Manifests, stats.Segments, stats.MovedChunks, stats.MovedBytes, stats.ReclaimedBytes}
	return a.print(result, func(w io.Writer) {
		row(w, "reclaimed", human(stats.ReclaimedBytes))
		row(w, "removed", fmt.Sprintf("%d segments, %d manifests", stats.Segments, stats.Manifests))
		row(w, "moved", fmt.Sprintf("%d chunks, %s", stats.MovedChunks, human(stats.MovedBytes)))
	})
}
