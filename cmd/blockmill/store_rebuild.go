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
			start := time.Now()
			d, err := a.openDir(cmd.Context(), false)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close(cmd.Context())) }()
			if err := cas.RebuildIndex(cmd.Context(), a.storeOptions(d)); err != nil {
				return fmt.Errorf("rebuild index of store %s: %w", a.storePath, unwrapAct(err))
			}
			result := struct {
				Seconds float64 `json:"seconds"`
			}{time.Since(start).Seconds()}
			return a.print(result, func(w io.Writer) { fmt.Fprintf(w, "rebuilt the index in %.2f seconds\n", result.Seconds) })
		}),
	}
}
