package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio/storedir"
)

func (a *app) storeReplaceCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "replace-shard --store S INDEX DIR",
		Short: "Give a shard of a store another directory",
		Long: `Give shard INDEX, counted from 0 as stat shows it, another directory: the one
that it was moved to, or an empty one in the place of a shard that is lost,
which heal then fills. Anything else is refused.`,
		Example: `  blockmill store replace-shard --store /srv/images 1 /disk9/s
  blockmill store heal --store /srv/images`,
		Args: cobra.ExactArgs(2),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			if a.storePath == "" {
				return errNoStoreFlag
			}
			index, err := strconv.Atoi(args[0])
			if err != nil {
				return usageError{fmt.Errorf("bad shard %q: want its index", args[0])}
			}
			if err := storedir.Replace(cmd.Context(), a.storePath, index, args[1]); err != nil {
				return fmt.Errorf("replace shard %d of store %s: %w", index, a.storePath, err)
			}
			result := struct {
				Index int    `json:"index"`
				Path  string `json:"path"`
			}{index, args[1]}
			return a.print(result, func(w io.Writer) { fmt.Fprintf(w, "shard %d is %s\n", index, args[1]) })
		}),
	}
}
