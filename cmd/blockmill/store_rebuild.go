package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio/cas"
)

func (a *app) storeRebuildCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rebuild-index --store S",
		Short: "Make the index of a store again",
		Long: `Remove the index and make it again from the segments. The index holds nothing
of its own: opening a store without one does the same.`,
		Example: `  blockmill store rebuild-index --store /srv/images`,
		Args:    cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) (err error) {
			if a.storePath == "" {
				return errNoStoreFlag
			}
			start := time.Now()
			s := &openStore{}
			opts, err := s.enter(a.storePath)
			if err != nil {
				return fmt.Errorf("open store %s: %w", a.storePath, err)
			}
			defer func() { err = errors.Join(err, s.lock.Unlock()) }()
			opts.Arena = a.sharedArena()
			if err := cas.RebuildIndex(cmd.Context(), opts); err != nil {
				return fmt.Errorf("rebuild index of store %s: %w", a.storePath, unwrapAct(err))
			}
			result := struct {
				Seconds float64 `json:"seconds"`
			}{time.Since(start).Seconds()}
			return a.print(result, func(w io.Writer) { fmt.Fprintf(w, "rebuilt the index in %.2f seconds\n", result.Seconds) })
		}),
	}
}
