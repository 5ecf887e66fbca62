package qcow2

import (
	"context"
	"fmt"
	"math"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/badimage"
)

// l2Page is how many bytes of an L2 table are checked at once.
const l2Page = 16 << 10

// place is where an L2 entry stands.
type place struct{ l1, table, index int64 }

func (p place) String() string { return fmt.Sprintf("L2 entry %d of L1 entry %d", p.index, p.l1) }

// dataClaim is a run of host clusters that consecutive entries refer to.
type dataClaim struct {
	place        // of the first entry
	first, count int64
	copied       bool
}

// l2Checker checks L2 tables, for one goroutine.
type l2Checker struct {
	c       *checker
	page    [l2Page]byte
	claims  []dataClaim
	streams []stream
	gap     gap
}

func newL2Checker(c *checker) *l2Checker { return &l2Checker{c: c, gap: c.im.newGap()} }

func (w *l2Checker) check(ctx context.Context, l1, table int64) error {
	g := w.c.im.geo
	if w.gap.covers(ctx, table, g.clusterSize) {
		return nil
	}
	n := min(l2Page, g.clusterSize) / g.entrySize
	for first := int64(0); first < g.clusterSize/g.entrySize; first += n {
		if err := ctx.Err(); err != nil {
			return err
		}
		entries := w.page[:n*g.entrySize]
		if err := w.c.im.readLeaf(entries, table+first*g.entrySize); err != nil {
			return fmt.Errorf("check L2 table of L1 entry %d: %w", l1, err)
		}
		if blockio.IsZero(entries) {
			continue
		}
		if err := w.checkEntries(entries, place{l1, table, first}); err != nil {
			return err
		}
	}
	return nil
}

// checkEntries decodes entries, the first of which stands at p, and claims
// what they refer to.
func (w *l2Checker) checkEntries(entries []byte, p place) error {
	g := w.c.im.geo
	w.claims, w.streams = w.claims[:0], w.streams[:0]
	clusters := int64(0)
	for i := range int64(len(entries)) / g.entrySize {
		e := g.entry(entries, i)
		if e.word|e.bitmap == 0 {
			continue
		}
		at := place{p.l1, p.table, p.index + i}
		cl, want := g.cluster(e, g.need(at))
		if want != "" {
			return g.badL2(e, at.l1, at.table, at.index, want)
		}
		if cl.compressed() || cl.alloc != 0 {
			clusters++
		}
		switch {
		case cl.compressed():
			w.streams = append(w.streams, stream{cl.host, cl.length})
		case cl.host != 0:
			w.claim(at, cl)
		}
	}
	return w.c.addData(w.claims, w.streams, clusters)
}

// need is how many bytes of a guest cluster lie inside the virtual size; it
// may be negative.
func (g *geometry) need(p place) int64 {
	if p.l1 > math.MaxInt64>>g.l1Shift()-1 {
		return 0
	}
	return g.size - p.l1<<g.l1Shift() - p.index<<g.clusterBits
}

func (w *l2Checker) claim(at place, cl cluster) {
	first := cl.host >> w.c.im.geo.clusterBits
	if n := len(w.claims); n > 0 {
		last := &w.claims[n-1]
		if last.first+last.count == first && last.index+last.count == at.index && last.copied == cl.copied {
			last.count++
			return
		}
	}
	w.claims = append(w.claims, dataClaim{at, first, 1, cl.copied})
}

// addData takes what a worker found in a page.
func (c *checker) addData(claims []dataClaim, streams []stream, clusters int64) error {
	g := c.im.geo
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first {
		c.clusters += clusters
		if c.clusters > math.MaxInt64>>g.clusterBits || c.clusters<<g.clusterBits/c.im.opts.MaxRatio > g.fileSize {
			return unsupported("L2 tables", badimage.NoOffset, badimage.Int(c.clusters)+" clusters of data",
				fmt.Sprintf("at most %d times the file's %d bytes", c.im.opts.MaxRatio, g.fileSize))
		}
	}
	for _, d := range claims {
		if err := c.claimData(d); err != nil {
			return err
		}
	}
	for _, s := range streams {
		if kind, ok := c.claims.addStream(s, g.clusterBits); !ok {
			return corrupt("compressed cluster", s.start, "its data", "a host cluster that holds no "+kind.String())
		}
	}
	return c.trimStreams()
}

// claimData claims host clusters for guest clusters.
func (c *checker) claimData(d dataClaim) error {
	g := c.im.geo
	for d.count > 0 {
		n, taken := c.claims.addData(d.first, d.count, d.copied)
		d = d.skip(n)
		if taken == claimedNone {
			continue
		}
		entry, value := d.table+d.index*g.entrySize, fmt.Sprintf("host cluster at %d", d.first<<g.clusterBits)
		if taken != claimedData {
			return corrupt(d.String(), entry, value, "a cluster that holds no "+taken.String())
		}
		c.shared++
		if c.im.opts.MaxAmplification <= 1 {
			return corrupt(d.String(), entry, value, "a cluster that no other guest cluster has")
		}
		d = d.skip(1)
	}
	return nil
}

func (d dataClaim) skip(n int64) dataClaim {
	d.first += n
	d.index += n
	d.count -= n
	return d
}
