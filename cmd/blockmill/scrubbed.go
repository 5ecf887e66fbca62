package main

import (
	"context"
	"fmt"
	"io"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/blockio/scrub"
	"github.com/blockmill/blockmill/blockio/storedir"
	"github.com/blockmill/blockmill/pool"
)

// scrubbed is the report of a scrub. Sizes are in bytes.
type scrubbed struct {
	Objects    int64         `json:"objects"`
	Bytes      int64         `json:"bytes"` // of shards
	Full       bool          `json:"full"`  // the chunks were looked at too
	Chunks     int64         `json:"chunks"`
	Damaged    int64         `json:"damaged"`
	Repaired   int64         `json:"repaired"`
	Unrepaired int64         `json:"unrepaired"`
	Resumed    bool          `json:"resumed"`
	Seconds    float64       `json:"seconds"`
	Findings   []finding     `json:"findings"`
	Lost       []lostRange   `json:"lost"`
	Images     []damagedPart `json:"images"`
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

// damagedPart is guest bytes of an image that cannot be read. The image is empty
// where no image of the catalog, but a snapshot or disk has the manifest.
type damagedPart struct {
	ID       pool.ImageID   `json:"id"`
	Name     string         `json:"name"`
	Manifest cas.ManifestID `json:"manifest"`
	Offset   int64          `json:"offset"`
	Length   int64          `json:"length"`
	Error    string         `json:"error"`
}

// maxScrubFindings bounds what a report lists.
const maxScrubFindings = 10000

// newScrubbed tells of a scrub.
func newScrubbed(d *storedir.Dir, report scrub.Report) *scrubbed {
	rows := &report.Rows
	r := &scrubbed{
		Objects: rows.Objects, Bytes: rows.Bytes, Damaged: rows.Found, Repaired: rows.Repaired,
		Unrepaired: report.Unrepaired(), Resumed: report.Resumed,
		Findings: []finding{}, Lost: []lostRange{}, Images: []damagedPart{}, Problems: []string{},
	}
	for _, f := range rows.Findings {
		if len(r.Findings) == maxScrubFindings {
			break
		}
		r.Findings = append(r.Findings, finding{f.Object, f.Shard, d.Shards()[f.Shard].Path, f.Row, f.Damage.String(), f.Repaired})
	}
	for _, l := range rows.Lost {
		r.Lost = append(r.Lost, lostRange(l))
	}
	if c := report.Chunks; c != nil {
		r.Full, r.Chunks = true, c.Chunks
		r.Damaged += r.Unrepaired - max(rows.Found-rows.Repaired, int64(len(rows.Lost)))
		for _, damage := range c.Damage {
			r.Lost = append(r.Lost, lostRange(damage.ObjectRange))
		}
	}
	if h := report.Healed; h != nil {
		r.Healed = &healed{Objects: h.Objects, Rebuilt: h.Rebuilt, Removed: h.Removed, Left: h.Left, Problems: []string{}}
	}
	for _, err := range report.Problems {
		r.Problems = append(r.Problems, oneLine(err))
	}
	return r
}

// nameImages tells which images cannot be read, and where.
func (r *scrubbed) nameImages(ctx context.Context, s *openStore, unreadable []cas.GuestRange) error {
	if len(unreadable) == 0 {
		return nil
	}
	catalog, err := pool.OpenCatalog(ctx, s.Store)
	if err != nil {
		return err
	}
	if err := catalog.Damage(); err != nil {
		r.Problems = append(r.Problems, oneLine(err))
	}
	images := map[cas.ManifestID][]pool.Image{}
	for _, img := range catalog.Images() {
		images[img.Manifest] = append(images[img.Manifest], img)
	}
	for _, g := range unreadable {
		part := damagedPart{Manifest: g.Manifest, Offset: g.Offset, Length: g.Length, Error: oneLine(g.Err)}
		for _, img := range images[g.Manifest] {
			part.ID, part.Name = img.ID, img.Name
			r.Images = append(r.Images, part)
		}
		if len(images[g.Manifest]) == 0 {
			r.Images = append(r.Images, part)
		}
	}
	return nil
}

// unscrubbed is the error of a scrub that leaves damage.
func (a *app) unscrubbed(r *scrubbed) error {
	switch {
	case len(r.Images) > 0:
		first := r.Images[0]
		return fmt.Errorf("scrub store %s: %d damaged places are left, %d guest ranges cannot be read, the first of image %s at %d: %s",
			a.storePath, r.Unrepaired, len(r.Images), first.image(), first.Offset, first.Error)
	case r.Unrepaired > 0 && len(r.Problems) > 0:
		return fmt.Errorf("scrub store %s: %d damaged places are left: %s", a.storePath, r.Unrepaired, r.Problems[0])
	case r.Unrepaired > 0:
		return fmt.Errorf("scrub store %s: %d damaged places are left", a.storePath, r.Unrepaired)
	case len(r.Problems) > 0:
		return fmt.Errorf("scrub store %s: %s", a.storePath, r.Problems[0])
	}
	return nil
}

// image is what the part is called.
func (p *damagedPart) image() string {
	if p.ID == "" {
		return "with manifest " + p.Manifest.String()
	}
	return string(p.ID)
}

func (r *scrubbed) table(w io.Writer) {
	row(w, "objects", r.Objects)
	row(w, "read", human(r.Bytes))
	if r.Full {
		row(w, "chunks", r.Chunks)
	}
	row(w, "damaged", r.Damaged)
	row(w, "repaired", r.Repaired)
	row(w, "left", r.Unrepaired)
	for _, f := range r.Findings {
		if !f.Repaired {
			row(w, "damage", fmt.Sprintf("%s, row %d of shard %d (%s): %s", f.Object, f.Row, f.Shard, f.Path, f.Damage))
		}
	}
	for _, p := range r.Images {
		row(w, "unreadable", fmt.Sprintf("image %s %s, %d bytes at %d", p.image(), p.Name, p.Length, p.Offset))
	}
	row(w, "seconds", fmt.Sprintf("%.2f", r.Seconds))
}
