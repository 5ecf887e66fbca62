package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/blockio/scrub"
	"github.com/blockmill/blockmill/blockio/storedir"
	"github.com/blockmill/blockmill/cmd/bytesize"
)

// scrubFlags say how to scrub.
type scrubFlags struct {
	repair, full, rowsOnly, restart bool
	rate                            bytesize.Size
	fullEvery                       time.Duration
}

func (a *app) storeScrubCommand() *cobra.Command {
	var f scrubFlags
	cmd := &cobra.Command{
		Use:   "scrub --store S [--repair]",
		Short: "Read everything that a store holds and check it",
		Long: `Read every row of every shard and compare it with its checksum; and when that
was long ago (--full-every), read every chunk and check its BLAKE3. With
--repair, what shards lack or what is damaged is rebuilt from the others. A
store without parity has nothing to rebuild from: there a scrub only tells.

What cannot be repaired is reported with the images and the guest ranges that it
touches. A scrub that is interrupted goes on where it was. Exit status 1 when
damage is left.`,
		Example: `  blockmill store scrub --store /srv/images --rate 100M
  blockmill store scrub --store /srv/images --repair --full`,
		Args: cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			return a.withDir(cmd.Context(), f.repair, func(d *storedir.Dir) error {
				result, err := a.scrub(cmd.Context(), d, f)
				if err != nil {
					return fmt.Errorf("scrub store %s: %w", a.storePath, err)
				}
				return errors.Join(a.print(result, result.table), a.unscrubbed(result))
			})
		}),
	}
	cmd.Flags().BoolVar(&f.repair, "repair", false, "rebuild what is missing or damaged")
	cmd.Flags().BoolVar(&f.full, "full", false, "check the BLAKE3 of every chunk now")
	cmd.Flags().BoolVar(&f.rowsOnly, "rows-only", false, "do not check the BLAKE3 of chunks")
	cmd.Flags().DurationVar(&f.fullEvery, "full-every", scrub.DefaultFullEvery, "check the BLAKE3 of every chunk when that was longer ago")
	cmd.Flags().BoolVar(&f.restart, "restart", false, "begin at the beginning")
	cmd.Flags().Var(&f.rate, "rate", "read at most so many bytes a second")
	cmd.MarkFlagsMutuallyExclusive("full", "rows-only")
	return cmd
}

func (f scrubFlags) options() scrub.Options {
	opts := scrub.Options{Repair: f.repair, Rate: int64(f.rate), Restart: f.restart, FullEvery: f.fullEvery}
	switch {
	case f.full:
		opts.Full = scrub.FullNow
	case f.rowsOnly:
		opts.Full = scrub.FullNever
	}
	return opts
}

func (a *app) scrub(ctx context.Context, d *storedir.Dir, f scrubFlags) (result *scrubbed, err error) {
	start := time.Now()
	opts := f.options()
	phases := scrubPhases{app: a}
	opts.Progress = phases.report
	defer phases.stop()
	var s *openStore
	report, err := scrub.New(d).Run(ctx, func(ctx context.Context) (*cas.Store, error) {
		opened, err := a.openIn(ctx, d)
		if err != nil {
			return nil, err
		}
		s = opened
		return s.Store, nil
	}, opts)
	if s != nil {
		defer func() { err = errors.Join(err, s.Store.Close()) }()
	}
	if err != nil {
		return nil, unwrapAct(err)
	}
	result = newScrubbed(d, report)
	if s != nil {
		if err := result.nameImages(ctx, s, report.Unreadable); err != nil {
			return nil, err
		}
	}
	result.Seconds = time.Since(start).Seconds()
	return result, nil
}

// scrubPhases shows the phases of a scrub, one after the other.
type scrubPhases struct {
	app   *app
	phase scrub.Phase
	show  func(done, total int64) // nil when nothing is to be shown
	end   func()                  // nil before the first phase
}

func (p *scrubPhases) report(now scrub.Progress) {
	if now.Phase != p.phase {
		p.stop()
		p.phase = now.Phase
		p.show, p.end = p.app.showProgress("scrub " + string(now.Phase))
	}
	if p.show != nil {
		p.show(now.Done, now.Total)
	}
}

func (p *scrubPhases) stop() {
	if p.end != nil {
		p.end()
	}
	p.end = nil
}
