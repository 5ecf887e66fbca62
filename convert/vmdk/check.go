package vmdk

import (
	"context"
	"fmt"
	"hash/maphash"

	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/badimage"
)

const (
	// checkers is how many goroutines check one file.
	checkers = 8
	// checkBatch is how many tables one of them takes at a time.
	checkBatch = 256
)

// Check checks the metadata of the whole image: that every table entry names
// a place inside the file, that the tables, the grains and everything else
// share no sector, that both directories say the same, that markers say what
// the tables say, and that a stream holds nothing besides. Its memory is
// bounded; its time is that of the tables, and of one small read of each
// compressed grain that ReadAt did not decode.
//
// It may run beside reading. When read is not nil it is closed after the last
// ReadAt: until then Check looks at tables alone, and does what needs the
// markers of compressed grains later, so that these are not fetched twice.
func (img *Image) Check(ctx context.Context, read <-chan struct{}) error {
	for _, e := range img.extents {
		if err := e.check(ctx, read); err != nil {
			return err
		}
	}
	return nil
}

// check has nothing to check: openFlat looked at all there is.
func (f *flat) check(ctx context.Context, _ <-chan struct{}) error { return ctx.Err() }

func (s *sparse) check(ctx context.Context, read <-chan struct{}) error {
	if read == nil || !s.h.compressed() {
		return s.checkWindows(ctx, mapSectors)
	}
	if err := s.checkTables(ctx, mapSectors); err != nil {
		return err
	}
	select {
	case <-read:
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.checkWindows(ctx, mapSectors)
}

// checkWindows checks in windows of so many sectors.
func (s *sparse) checkWindows(ctx context.Context, window int64) error {
	c := s.newChecker(window)
	if err := c.windows(ctx, window); err != nil {
		return err
	}
	return c.tail(ctx)
}

// checkTables does of a check what tables tell, and no more of compressed
// grains than that no two begin at one place: what reads them is bounded by the
// file then.
func (s *sparse) checkTables(ctx context.Context, window int64) error {
	c := s.newChecker(window)
	c.starts = true
	return c.windows(ctx, window)
}

func (s *sparse) newChecker(window int64) *checker {
	return &checker{s: s, claimed: newHostMap(min(sectorsOf(s.file.size), window)), seed: maphash.MakeSeed()}
}

// windows makes a pass over each window of so many sectors.
func (c *checker) windows(ctx context.Context, window int64) error {
	sectors := sectorsOf(c.s.file.size)
	for start := int64(0); start < sectors; start += window {
		c.claimed.move(start, min(start+window, sectors))
		if err := c.pass(ctx); err != nil {
			return err
		}
	}
	return nil
}

// checker checks a sparse extent, in passes over windows of its file.
type checker struct {
	s *sparse
	// starts says that compressed grains claim the sector where they begin, so
	// that nothing is read of them, and that gaps between claims mean nothing.
	starts  bool
	claimed *hostMap
	seed    maphash.Seed
	gaps    gapReader
}

func (c *checker) pass(ctx context.Context) error {
	if err := c.fixed(); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(checkers)
	for first := int64(0); first < c.s.h.tables(); first += checkBatch {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error { return c.batch(gctx, first, min(first+checkBatch, c.s.h.tables())) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if !c.s.footer || c.starts {
		return nil
	}
	for start, end := range c.claimed.gaps(int64(c.s.h.overHead)) {
		if err := c.gaps.read(ctx, c.s.file, start, end); err != nil {
			return err
		}
	}
	return nil
}

// claim marks sectors as those of the named thing, which the entry at byte
// offset at names.
func (c *checker) claim(what string, at, start, count int64) error {
	taken, ok := c.claimed.claim(start, count)
	if ok {
		return nil
	}
	return badimage.Corrupt(format, what, at, badimage.Int(start), fmt.Sprintf("a place of its own; sector %d is taken", taken))
}

// fixed claims what the header names.
func (c *checker) fixed() error {
	h := &c.s.h
	regions := []region{
		{"header", 0, 0, 1},
		{"descriptorOffset", 28, h.descriptorOffset, h.descriptorSize},
		{"gdOffset", 56, c.s.gd, h.directorySectors()},
	}
	if h.redundant() {
		regions = append(regions, region{"rgdOffset", 48, c.s.rgd, h.directorySectors()})
	}
	if c.s.footer {
		end := uint64(sectorsOf(c.s.file.size))
		regions = append(regions, region{"footer", c.s.file.size - 2*sectorSize, end - footerSectors, footerSectors})
	}
	for i, r := range regions {
		if err := c.claim(r.field, r.at, int64(r.start), int64(r.count)); err != nil {
			return err
		}
		if c.s.footer && (i == 2 || r.field == "rgdOffset") {
			if err := c.marker("grain directory", r.at, int64(r.start), markerGD, h.directorySectors()); err != nil {
				return err
			}
		}
	}
	return nil
}

// marker claims and checks the marker before the table at a sector.
func (c *checker) marker(what string, at, sector int64, kind uint32, sectors uint64) error {
	if err := c.claim("marker of "+what, at, sector-1, 1); err != nil {
		return err
	}
	if !c.claimed.holds(sector - 1) {
		return nil
	}
	var p [markerSize]byte
	if err := c.s.readTables(p[:], (sector-1)*sectorSize); err != nil {
		return err
	}
	return parseMarker(p[:]).checkMetadata(what, (sector-1)*sectorSize, kind, sectors)
}

// batch checks the tables first to end-1, those of both directories.
func (c *checker) batch(ctx context.Context, first, end int64) error {
	sums := make(map[int64]uint64)
	err := c.s.walk(ctx, c.s.gd, first, end, func(run tableRun) error {
		if err := c.tables(c.s.gd, run); err != nil {
			return err
		}
		if run.entries == nil {
			return nil
		}
		if c.s.h.redundant() && !blockio.IsZero(run.raw) {
			sums[run.index] = maphash.Bytes(c.seed, run.raw)
		}
		return c.grains(run)
	})
	if err != nil || !c.s.h.redundant() {
		return err
	}
	err = c.s.walk(ctx, c.s.rgd, first, end, func(run tableRun) error {
		if err := c.tables(c.s.rgd, run); err != nil {
			return err
		}
		if run.entries == nil || blockio.IsZero(run.raw) {
			return nil
		}
		if sum, ok := sums[run.index]; !ok || sum != maphash.Bytes(c.seed, run.raw) {
			return c.differ(run.index)
		}
		delete(sums, run.index)
		return nil
	})
	if err != nil {
		return err
	}
	for index := range sums {
		return c.differ(index)
	}
	return nil
}

func (c *checker) differ(index int64) error {
	return badimage.Corrupt(format, fmt.Sprintf("redundant grain table %d", index), int64(c.s.rgd)*sectorSize+index*entrySize,
		"other entries", "those of the primary grain table")
}

// tables claims the tables of a run, and checks its marker: with a footer
// tables do not follow one another, for there is a marker between them.
func (c *checker) tables(gd uint64, run tableRun) error {
	if run.sector == 0 {
		return nil
	}
	what := fmt.Sprintf("grain directory entry %d", run.index)
	at := int64(gd)*sectorSize + run.index*entrySize
	if err := c.claim(what, at, int64(run.sector), run.count*tableSectors); err != nil {
		return err
	}
	if !c.s.footer {
		return nil
	}
	return c.marker(fmt.Sprintf("grain table %d", run.index), at, int64(run.sector), markerGT, tableSectors)
}

// grains checks and claims the grains of one table.
func (c *checker) grains(run tableRun) error {
	s, first, at := c.s, run.index*entriesPerTable, int64(run.sector)*sectorSize
	if err := s.checkGrains(first, at, run.entries); err != nil {
		return err
	}
	for i, e := range run.entries {
		if !present(e) {
			continue
		}
		g := first + int64(i)
		sectors := int64(s.h.grainSize)
		if s.h.compressed() {
			var err error
			if sectors, err = c.stored(g, int64(e)); err != nil {
				return err
			}
		}
		sectors = min(sectors, sectorsOf(s.file.size)-int64(e))
		if taken, ok := c.claimed.claim(int64(e), sectors); !ok {
			return s.badGrain(g, at+int64(i)*entrySize, badimage.Int(e), fmt.Sprintf("a place of its own; sector %d is taken", taken))
		}
	}
	return nil
}

// stored checks the marker of a compressed grain and tells the sectors that
// it takes; 0 when none of them can lie in the window. A grain that was decoded
// had its marker checked.
func (c *checker) stored(g, sector int64) (int64, error) {
	if c.starts {
		return 1, nil
	}
	if seen := c.s.seen.sectors(g); seen > 0 {
		return seen, nil
	}
	if sector >= c.claimed.end || sector+sectorsOf(c.s.maxStored()) <= c.claimed.start {
		return 0, nil
	}
	var p [grainMarkerSize]byte
	at := sector * sectorSize
	if err := c.s.file.readFull(p[:], at); err != nil {
		return 0, err
	}
	m := parseGrainMarker(p[:])
	if err := c.s.checkGrainMarker(m, g, at); err != nil {
		return 0, err
	}
	return m.sectors(), nil
}
