package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio/storedir"
	"github.com/blockmill/blockmill/blockio/stripe"
	"github.com/blockmill/blockmill/cmd/bytesize"
)

// healed is what came of a healing.
type healed struct {
	Objects  int64    `json:"objects"`
	Rebuilt  int64    `json:"rebuilt"`
	Removed  int64    `json:"removed"`
	Left     int64    `json:"left"`
	Problems []string `json:"problems"`
}

func (a *app) storeHealCommand() *cobra.Command {
	var rate bytesize.Size
	cmd := &cobra.Command{
		Use:   "heal --store S",
		Short: "Rebuild what shards of a store lack",
		Long: `Rebuild what shards lack: those that were replaced by empty directories, that
were away for a while, or that failed. The objects that would survive the
fewest further losses come first. It looks for what is missing; damage inside
of what is there is found by scrub. Exit status 1 when something is left.`,
		Example: `  blockmill store heal --store /srv/images --rate 200M`,
		Args:    cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			return a.withDir(cmd.Context(), true, func(d *storedir.Dir) error {
				result, err := a.heal(cmd.Context(), d, int64(rate))
				if err != nil {
					return err
				}
				if err := a.print(result, result.table); err != nil {
					return err
				}
				return a.unhealed(result)
			})
		}),
	}
	cmd.Flags().Var(&rate, "rate", "at most so many bytes a second")
	return cmd
}

// heal brings a store's shards back to full redundancy as far as possible.
func (a *app) heal(ctx context.Context, d *storedir.Dir, rate int64) (*healed, error) {
	report, stop := a.showProgress("heal")
	defer stop()
	opts := stripe.HealOptions{Rate: rate}
	if report != nil {
		opts.Progress = func(p stripe.HealProgress) { report(p.Done, p.Objects) }
	}
	r, err := d.Volume.Heal(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("heal store %s: %w", a.storePath, unwrapAct(err))
	}
	result := &healed{Objects: r.Objects, Rebuilt: r.Rebuilt, Removed: r.Removed, Left: r.Left, Problems: []string{}}
	for _, err := range r.Errs {
		result.Problems = append(result.Problems, oneLine(err))
	}
	return result, nil
}

// unhealed is the error of a healing that left something.
func (a *app) unhealed(r *healed) error {
	switch {
	case len(r.Problems) > 0:
		return fmt.Errorf("heal store %s: %d objects left, %d problems, the first: %s", a.storePath, r.Left, len(r.Problems), r.Problems[0])
	case r.Left > 0:
		return fmt.Errorf("heal store %s: %d objects left that lack something", a.storePath, r.Left)
	}
	return nil
}

func (r *healed) table(w io.Writer) {
	row(w, "objects", r.Objects)
	row(w, "rebuilt", r.Rebuilt)
	row(w, "removed", r.Removed)
	row(w, "left", r.Left)
}
