package qcow2

import (
	"math"
	"math/bits"
	"slices"
)

// claimed is what a host cluster is used for.
type claimed uint8

const (
	claimedNone claimed = iota
	claimedMeta
	claimedData
	claimedStreams
)

func (c claimed) String() string {
	return [...]string{"nothing", "table", "plain data", "compressed data"}[c]
}

const (
	pageClusters = 16 << 10
	// maxClaimPages bounds the claims of a pass: 2048 pages of 8 KiB.
	maxClaimPages = 2048
)

// clusterSet is a set of the clusters of a page.
type clusterSet [pageClusters / 64]uint64

// claimPage says what pageClusters clusters are used for. copied holds those
// whose refcount a table says to be one.
type claimPage struct {
	meta, data, streams, copied clusterSet
}

// claims are the uses of the host clusters [lo, hi). What lies outside is
// ignored. When memory runs out, hi comes down, for another pass to go on
// from there.
type claims struct {
	lo, hi  int64
	pages   map[int64]*claimPage
	lastKey int64
	last    *claimPage
	list    []stream
}

func (c *claims) reset(lo, hi int64) {
	c.lo, c.hi = lo, hi
	c.pages = make(map[int64]*claimPage)
	c.last = nil
	c.list = c.list[:0]
}

// page is the page of a cluster within [lo, hi), or nil when that no longer
// is within.
func (c *claims) page(cluster int64) *claimPage {
	key := cluster / pageClusters
	if c.last != nil && c.lastKey == key {
		return c.last
	}
	p := c.pages[key]
	if p == nil {
		if len(c.pages) >= maxClaimPages {
			c.shrink()
		}
		if cluster >= c.hi {
			return nil
		}
		p = new(claimPage)
		c.pages[key] = p
	}
	c.lastKey, c.last = key, p
	return p
}

// shrink drops the upper half of the pages.
func (c *claims) shrink() {
	keys := c.keys()
	for _, key := range keys[len(keys)/2:] {
		delete(c.pages, key)
	}
	c.hi = keys[len(keys)/2] * pageClusters
	c.last = nil
}

// keys are the pages' numbers, ascending.
func (c *claims) keys() []int64 {
	keys := make([]int64, 0, len(c.pages))
	for key := range c.pages {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// addMeta claims clusters for a table. When one is taken it says which.
func (c *claims) addMeta(first, count int64) (taken int64, ok bool) {
	n, use := c.add(first, count, func(p *claimPage) *clusterSet { return &p.meta })
	return first + n, use == claimedNone
}

// addData claims clusters for plain data. It returns how many it has dealt
// with before one that is taken, and by what; claimedNone when all are done.
func (c *claims) addData(first, count int64, copied bool) (n int64, taken claimed) {
	n, taken = c.add(first, count, func(p *claimPage) *clusterSet { return &p.data })
	if copied {
		for i := range n {
			c.setCopied(first + i)
		}
	}
	return n, taken
}

// setCopied notes that a table says the cluster's refcount to be one.
func (c *claims) setCopied(cluster int64) {
	if cluster < c.lo || cluster >= c.hi {
		return
	}
	if p := c.page(cluster); p != nil {
		i := cluster % pageClusters
		p.copied[i/64] |= 1 << (i % 64)
	}
}

func (c *claims) add(first, count int64, set func(*claimPage) *clusterSet) (n int64, taken claimed) {
	end := first + count
	for at := max(first, c.lo); at < min(end, c.hi); {
		p := c.page(at)
		if p == nil {
			break
		}
		i := at % pageClusters
		width := min(64-i%64, min(end, c.hi)-at)
		mask := uint64(math.MaxUint64) >> (64 - width) << (i % 64)
		word := i / 64
		if used := (p.meta[word] | p.data[word] | p.streams[word]) & mask; used != 0 {
			at += int64(bits.TrailingZeros64(used)) - i%64
			set(p)[word] |= mask & (used&-used - 1)
			return at - first, p.use(at % pageClusters)
		}
		set(p)[word] |= mask
		at += width
	}
	return count, claimedNone
}

// use is what cluster i of the page is used for.
func (p *claimPage) use(i int64) claimed {
	bit := uint64(1) << (i % 64)
	switch {
	case p.meta[i/64]&bit != 0:
		return claimedMeta
	case p.data[i/64]&bit != 0:
		return claimedData
	case p.streams[i/64]&bit != 0:
		return claimedStreams
	}
	return claimedNone
}
