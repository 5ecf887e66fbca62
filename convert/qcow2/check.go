package qcow2

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/convert/badimage"
)

// checkWorkers is how many L2 tables are read at once.
const checkWorkers = 8

// maxPasses bounds the work for files whose used clusters lie too far apart
// for the memory of a pass. At one pass for half a page budget, 64 are enough
// for every dense file that a refcount table can describe.
const maxPasses = 64

// Check walks every table of the active layer, and all that the header leads
// to. It refuses entries that are malformed or lead outside the file,
// clusters that serve two purposes, and, unless the image is marked dirty,
// refcounts that say that a used cluster is free. Of small clusters in a source that
// fetches it looks at what readers see, and when read is closed at the rest.
//
// It may run beside ReadAt. Memory is bounded; compressed data is not decoded.
func (im *Image) Check(ctx context.Context, read <-chan struct{}) error {
	c := &checker{im: im, read: read}
	passes := 0
	for lo := int64(0); lo < im.geo.hostClusters(); lo = c.claims.hi {
		if passes++; passes > maxPasses {
			return unsupported("host clusters", badimage.NoOffset, "scattered over a sparse file", "clusters near one another")
		}
		c.first = lo == 0
		c.claims.reset(lo, im.geo.hostClusters())
		if err := c.pass(ctx); err != nil {
			return err
		}
	}
	if float64(c.clusters) > float64(c.clusters-c.shared)*im.opts.MaxAmplification {
		return corrupt("L2 tables", badimage.NoOffset, fmt.Sprintf("%d of %d clusters share their data", c.shared, c.clusters),
			fmt.Sprintf("an amplification of at most %g", im.opts.MaxAmplification))
	}
	return nil
}

// checker is one Check under way.
type checker struct {
	im    *Image
	first bool            // the first pass: count what counts once
	read  <-chan struct{} // of Check

	mu     sync.Mutex // guards all below while workers run
	claims claims
	// clusters counts guest clusters that have data; shared counts those of
	// them whose data another has too.
	clusters, shared int64
}

// pass claims the clusters in one range of the file, metadata first.
func (c *checker) pass(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		c.claimFixed, c.checkRefcountTable, c.claimL2Tables, c.checkSnapshots, c.checkBitmaps,
		c.checkL2Tables, c.checkStreams, c.checkRefcounts,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// claimFixed claims what the header itself places.
func (c *checker) claimFixed(context.Context) error {
	g, h := c.im.geo, c.im.hdr
	if err := c.claimMeta("header", 0, 0, 1); err != nil {
		return err
	}
	if err := c.claimMeta("l1_table_offset", 40, g.l1Offset, g.l1Entries*8); err != nil {
		return err
	}
	return c.claimMeta("refcount_table_offset", 48, int64(h.refcountTableOffset), int64(h.refcountTableClusters)<<g.clusterBits)
}

// claimMeta claims the clusters of a table. field and fieldOffset are what
// placed it.
func (c *checker) claimMeta(field string, fieldOffset, off, length int64) error {
	if length == 0 {
		return nil
	}
	g := c.im.geo
	first := off >> g.clusterBits
	if at, ok := c.claims.addMeta(first, (off+length-1)>>g.clusterBits-first+1); !ok {
		return corrupt(field, fieldOffset, fmt.Sprintf("host cluster at %d", at<<g.clusterBits), "a cluster that no other table has")
	}
	return nil
}

// eachWord calls fn with the non-zero words of a table.
func (im *Image) eachWord(ctx context.Context, table, entries int64, fn func(i int64, word uint64) error) error {
	var page [tablePage]byte
	for first := int64(0); first < entries; first += tablePage / 8 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(tablePage/8, entries-first)
		if err := im.readTable(page[:n*8], table+first*8); err != nil {
			return err
		}
		for i := range n {
			word := binary.BigEndian.Uint64(page[i*8:])
			if word == 0 {
				continue
			}
			if err := fn(first+i, word); err != nil {
				return err
			}
		}
	}
	return nil
}

// eachL2 calls fn with the L2 tables, those beyond the virtual size included.
func (im *Image) eachL2(ctx context.Context, fn func(index, table int64, copied bool) error) error {
	g := im.geo
	err := im.eachWord(ctx, g.l1Offset, g.l1Entries, func(i int64, word uint64) error {
		table, err := g.l2Table(l1Entry(word), i)
		if err != nil {
			return err
		}
		return fn(i, table, word&copiedBit != 0)
	})
	if err != nil && !badimage.Is(err) {
		return fmt.Errorf("L1 table: %w", err)
	}
	return err
}

func (c *checker) claimL2Tables(ctx context.Context) error {
	g := c.im.geo
	return c.im.eachL2(ctx, func(index, table int64, copied bool) error {
		if copied {
			c.claims.setCopied(table >> g.clusterBits)
		}
		return c.claimMeta(fmt.Sprintf("L1 entry %d", index), g.l1Offset+index*8, table, g.clusterSize)
	})
}

// checkL2Tables checks the tables: what readers see if there are any, in the first
// pass, and the rest.
func (c *checker) checkL2Tables(ctx context.Context) error {
	if !c.first || c.read == nil || c.im.seen == nil || !c.im.seen.begin() {
		return c.checkOtherTables(ctx, func(int64) bool { return false })
	}
	if err := c.im.seen.check(ctx, newL2Checker(c), c.read); err != nil {
		return err
	}
	return c.checkOtherTables(ctx, c.im.seen.checked.has)
}

// checkOtherTables gives the tables of the L1 entries that are not to be skipped to
// workers, and waits for them.
func (c *checker) checkOtherTables(ctx context.Context, skip func(index int64) bool) error {
	type job struct{ index, table int64 }
	jobs := make(chan job)
	group, ctx := errgroup.WithContext(ctx)
	for range checkWorkers {
		group.Go(func() error {
			w := newL2Checker(c)
			for j := range jobs {
				if err := w.check(ctx, j.index, j.table); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(jobs)
		return c.im.eachL2(ctx, func(index, table int64, _ bool) error {
			if skip(index) {
				return nil
			}
			select {
			case jobs <- job{index, table}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	return group.Wait()
}
