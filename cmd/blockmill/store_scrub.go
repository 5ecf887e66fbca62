package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/blockio/storedir"
	"github.com/blockmill/blockmill/blockio/stripe"
	"github.com/blockmill/blockmill/pool"
)

// scrubbed is the report of a scrub. Sizes are in bytes.
type scrubbed struct {
	Objects    int64         `json:"objects"`
	Bytes      int64         `json:"bytes"` // of shards
	Damaged    int64         `json:"damaged"`
	Repaired   int64         `json:"repaired"`
	Unrepaired int64         `json:"unrepaired"`
	Resumed    bool          `json:"resumed"`
	Seconds    float64       `json:"seconds"`
	Findings   []finding     `json:"findings"`
	Lost       []lostRange   `json:"lost"`
	Images     []damagedPart `json:"images"`
	Verified   []verified    `json:"verified,omitempty"`
	Healed     *healed       `json:"healed,omitempty"`
	Problems   []string      `json:"problems"`
}

// finding is one thing that was wrong; Row is -1 for a whole shard of an object.
type finding struct {
	Object   string `json:"object"`
	Shard    int    `json:"shard"`
	Path     string `json:"path"`
	Row      int64  `json:"row"`
	Damage   string `json:"damage"`
	Repaired bool   `json:"repaired"`
}

// lostRange is bytes of an object that are gone; a Length of -1 is all of it.
type lostRange struct {
	Object string `json:"object"`
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
}

// damagedPart is guest bytes of an image that cannot be read.
type damagedPart struct {
	ID     pool.ImageID `json:"id"`
	Name   string       `json:"name"`
	Offset int64        `json:"offset"`
	Length int64        `json:"length"`
	Error  string       `json:"error"`
}

// maxScrubFindings bounds what a report lists.
const maxScrubFindings = 10000

// scrubFlags say how to scrub.
type scrubFlags struct {
	repair, full, restart bool
	rate                  size
}

func (a *app) storeScrubCommand() *cobra.Command {
	var f scrubFlags
	cmd := &cobra.Command{
		Use:   "scrub --store S [--repair]",
		Short: "Read everything that a store holds and check it",
		Long: `Read every row of every shard and compare it with its checksum. With --repair,
what shards lack or what is damaged is rebuilt from the others. A store without
parity has nothing to rebuild from: there a scrub only tells.

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
	cmd.Flags().BoolVar(&f.full, "full", false, "also read all images and check the BLAKE3 of every chunk")
	cmd.Flags().BoolVar(&f.restart, "restart", false, "begin at the beginning")
	cmd.Flags().Var(&f.rate, "rate", "read at most so many bytes a second")
	return cmd
}

func (a *app) scrub(ctx context.Context, d *storedir.Dir, f scrubFlags) (*scrubbed, error) {
	start := time.Now()
	result := &scrubbed{Findings: []finding{}, Lost: []lostRange{}, Images: []damagedPart{}, Problems: []string{}}
	if f.repair && d.Layout().Parity > 0 {
		healed, err := a.heal(ctx, d, int64(f.rate))
		if err != nil {
			return nil, err
		}
		result.Healed = healed
		result.Problems = append(result.Problems, healed.Problems...)
	}
	report, err := a.scrubShards(ctx, d, f, result)
	if err != nil {
		return nil, err
	}
	result.take(d, report)
	if len(report.Lost) > 0 || f.full {
		if err := a.scrubImages(ctx, d, report.Lost, f.full, result); err != nil {
			// The store itself may be what is damaged.
			if ctx.Err() != nil {
				return nil, err
			}
			result.Problems = append(result.Problems, oneLine(err))
		}
	}
	result.Seconds = time.Since(start).Seconds()
	state := scrubState{FinishedAt: time.Now().UTC().Truncate(time.Second), Unrepaired: result.Unrepaired}
	if err := state.write(a.storePath); err != nil {
		result.Problems = append(result.Problems, oneLine(err))
	}
	return result, nil
}

// cursorEvery is the least time between two writes of the cursor.
const cursorEvery = 2 * time.Second

// scrubShards checks the rows of all shards, from where the last scrub stopped.
func (a *app) scrubShards(ctx context.Context, d *storedir.Dir, f scrubFlags, result *scrubbed) (stripe.ScrubReport, error) {
	state := readScrubState(a.storePath)
	if f.restart {
		state.Cursor = ""
	}
	result.Resumed = state.Cursor != ""
	var total int64
	for _, s := range d.Shards() {
		if n, err := s.Used(); err == nil {
			total += n
		}
	}
	show, stop := a.showProgress("scrub")
	defer stop()
	saved := time.Now()
	report, err := d.Volume.Scrub(ctx, stripe.ScrubOptions{
		Repair: f.repair, Rate: int64(f.rate), After: state.Cursor,
		Progress: func(p stripe.ScrubProgress) {
			if show != nil {
				show(p.Bytes, total)
			}
			if now := time.Now(); now.Sub(saved) >= cursorEvery {
				saved, state.Cursor = now, p.Cursor
				_ = state.write(a.storePath) // the next scrub would repeat a little
			}
		},
	})
	if err != nil && report.Cursor != "" {
		state.Cursor = report.Cursor
		return report, errors.Join(unwrapAct(err), state.write(a.storePath))
	}
	return report, err
}

// take takes over what was found on the shards.
func (r *scrubbed) take(d *storedir.Dir, report stripe.ScrubReport) {
	r.Objects, r.Bytes = report.Objects, report.Bytes
	r.Damaged, r.Repaired = report.Found, report.Repaired
	r.Unrepaired = max(report.Found-report.Repaired, int64(len(report.Lost)))
	for _, f := range report.Findings {
		if len(r.Findings) == maxScrubFindings {
			break
		}
		r.Findings = append(r.Findings, finding{f.Object, f.Shard, d.Shards()[f.Shard].Path, f.Row, f.Damage.String(), f.Repaired})
	}
	for _, l := range report.Lost {
		r.Lost = append(r.Lost, lostRange(l))
	}
	for _, err := range report.Errs {
		r.Problems = append(r.Problems, oneLine(err))
	}
}

// scrubImages finds out what lost bytes mean for the images, and reads all images
// if that is wanted.
func (a *app) scrubImages(ctx context.Context, d *storedir.Dir, lost []stripe.Range, full bool, result *scrubbed) (err error) {
	s, err := a.openIn(ctx, d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Store.Close()) }()
	catalog, err := pool.OpenCatalog(ctx, s.Store)
	if err != nil {
		return err
	}
	if err := catalog.Damage(); err != nil {
		result.Problems = append(result.Problems, oneLine(err))
	}
	images := catalog.Images()
	var ranges []cas.ObjectRange
	for _, l := range lost {
		ranges = append(ranges, cas.ObjectRange(l))
	}
	if len(ranges) > 0 {
		found, err := s.Unreadable(ctx, ranges)
		if err != nil {
			return err
		}
		for _, g := range found {
			for _, img := range images {
				if img.Manifest == g.Manifest {
					result.Images = append(result.Images, damagedPart{img.ID, img.Name, g.Offset, g.Length, oneLine(g.Err)})
				}
			}
		}
	}
	if !full {
		return nil
	}
	result.Verified, err = verifyImages(ctx, s, images)
	return err
}

// unscrubbed is the error of a scrub that leaves damage.
func (a *app) unscrubbed(r *scrubbed) error {
	if err := firstDamage(r.Verified); err != nil {
		return fmt.Errorf("scrub store %s: %w", a.storePath, err)
	}
	switch {
	case len(r.Images) > 0:
		return fmt.Errorf("scrub store %s: %d damaged places are left, %d guest ranges cannot be read, the first of image %s at %d: %s",
			a.storePath, r.Unrepaired, len(r.Images), r.Images[0].ID, r.Images[0].Offset, r.Images[0].Error)
	case r.Unrepaired > 0:
		return fmt.Errorf("scrub store %s: %d damaged places are left", a.storePath, r.Unrepaired)
	case len(r.Problems) > 0:
		return fmt.Errorf("scrub store %s: %s", a.storePath, r.Problems[0])
	}
	return nil
}

func (r *scrubbed) table(w io.Writer) {
	row(w, "objects", r.Objects)
	row(w, "read", human(r.Bytes))
	row(w, "damaged", r.Damaged)
	row(w, "repaired", r.Repaired)
	row(w, "left", r.Unrepaired)
	for _, f := range r.Findings {
		if !f.Repaired {
			row(w, "damage", fmt.Sprintf("%s, row %d of shard %d (%s): %s", f.Object, f.Row, f.Shard, f.Path, f.Damage))
		}
	}
	for _, p := range r.Images {
		row(w, "unreadable", fmt.Sprintf("image %s %s, %d bytes at %d", p.ID, p.Name, p.Length, p.Offset))
	}
	row(w, "seconds", fmt.Sprintf("%.2f", r.Seconds))
}
