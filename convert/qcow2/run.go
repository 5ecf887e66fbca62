package qcow2

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/blockmill/blockmill/blockio"
)

// kind is what a run of guest bytes is.
type kind uint8

const (
	unallocated kind = iota
	zero
	plain
	compressed
)

// run is a run of guest bytes of one kind. A compressed run is one cluster or
// a part of it; the others are as long as they go on.
type run struct {
	off, length int64 // guest bytes
	kind        kind
	host        int64 // plain: of the first byte; compressed: of the cluster's data
	hostLen     int64 // compressed: of the cluster's data
}

func (r run) end() int64 { return r.off + r.length }

// continues says that next is more of r.
func (r run) continues(next run) bool {
	if r.kind != next.kind || r.end() != next.off {
		return false
	}
	switch r.kind {
	case plain:
		return r.host+r.length == next.host
	case compressed:
		return false
	}
	return true
}

// How many bytes of a table are read in one step: for a read of guest bytes,
// and for a walk over many.
const (
	tablePage     = 4 << 10
	longTablePage = 64 << 10
)

// walker turns a guest range into runs, for one goroutine.
type walker struct {
	im     *Image
	fn     func(run) error
	last   run    // pending, longer runs may come
	l1, l2 []byte // a page of each table
	long   bool   // it walks over many tables
	gap    gap    // of a long walk
	span   span   // that was fetched, of a reader
}

// newWalker makes a walker that reads tables in pages. A short page is for reads
// of few clusters, which would gain nothing from looking for gaps.
func newWalker(im *Image, page int) *walker {
	w := &walker{im: im, l1: make([]byte, page), l2: make([]byte, page), long: page == longTablePage}
	if w.long {
		w.gap = im.newGap()
	}
	return w
}

// walk calls fn with the runs of [off, end), in order and without gaps.
func (w *walker) walk(ctx context.Context, off, end int64, fn func(run) error) error {
	if off >= end {
		return nil
	}
	w.fn, w.last = fn, run{}
	defer func() { w.fn = nil }()
	if err := w.walkL1(ctx, off, end); err != nil {
		return err
	}
	return w.flush()
}

func (w *walker) walkL1(ctx context.Context, off, end int64) error {
	g := w.im.geo
	page := int64(len(w.l1)) / 8
	lastIndex := (end - 1) >> g.l1Shift()
	for first := off >> g.l1Shift(); first <= lastIndex; {
		n := min(page-first%page, lastIndex-first+1)
		if err := ctx.Err(); err != nil {
			return err
		}
		table := w.l1[:n*8]
		if err := w.im.readTable(table, g.l1Offset+first*8); err != nil {
			return fmt.Errorf("L1 table: %w", err)
		}
		ahead := int64(0)
		for i := range n {
			for ; w.long && ahead < min(n, i+leavesAhead); ahead++ {
				w.im.prefetchLeaf(int64(binary.BigEndian.Uint64(table[ahead*8:]) & offsetMask))
			}
			index := first + i
			from, to := max(off, index<<g.l1Shift()), min(end, (index+1)<<g.l1Shift())
			l2, err := g.l2Table(l1Entry(binary.BigEndian.Uint64(table[i*8:])), index)
			if err != nil {
				return err
			}
			if l2 == 0 {
				err = w.add(run{off: from, length: to - from})
			} else {
				err = w.walkL2(ctx, index, l2, from, to)
			}
			if err != nil {
				return err
			}
		}
		first += n
	}
	return nil
}

// walkL2 takes the range [off, end) that lies under one L2 table.
func (w *walker) walkL2(ctx context.Context, l1Index, table, off, end int64) error {
	g := w.im.geo
	if w.gap.covers(ctx, table, g.clusterSize) {
		return w.add(run{off: off, length: end - off})
	}
	page := int64(len(w.l2)) / g.entrySize
	mask := int64(1)<<g.l2Bits - 1
	for off < end {
		if err := ctx.Err(); err != nil {
			return err
		}
		first := off >> g.clusterBits & mask
		n := min(page-first%page, (end-1)>>g.clusterBits&mask-first+1)
		entries := w.l2[:n*g.entrySize]
		if at := table + first*g.entrySize; !w.span.read(entries, at) {
			if err := w.im.readLeaf(entries, at); err != nil {
				return fmt.Errorf("L2 table of L1 entry %d: %w", l1Index, err)
			}
		}
		if blockio.IsZero(entries) {
			to := min(end, off&^(g.clusterSize-1)+n*g.clusterSize)
			if err := w.add(run{off: off, length: to - off}); err != nil {
				return err
			}
			off = to
			continue
		}
		for i := range n {
			e := g.entry(entries, i)
			start := off &^ (g.clusterSize - 1)
			to := min(end, start+g.clusterSize)
			c, want := g.cluster(e, g.size-start)
			if want != "" {
				return g.badL2(e, l1Index, table, first+i, want)
			}
			if err := w.addCluster(c, start, off, to); err != nil {
				return err
			}
			off = to
		}
	}
	return nil
}

// entry decodes entry i of a piece of an L2 table.
func (g *geometry) entry(entries []byte, i int64) l2Entry {
	e := l2Entry{word: binary.BigEndian.Uint64(entries[i*g.entrySize:])}
	if g.extended {
		e.bitmap = binary.BigEndian.Uint64(entries[i*g.entrySize+8:])
	}
	return e
}

// addCluster takes the part [from, to) of the cluster that begins at start.
func (w *walker) addCluster(c cluster, start, from, to int64) error {
	r := run{off: from, length: to - from}
	switch {
	case c.compressed():
		r.kind, r.host, r.hostLen = compressed, c.host, c.length
	case c.alloc == allSub:
		r.kind, r.host = plain, c.host+from-start
	case c.zero == allSub:
		r.kind = zero
	case c.alloc|c.zero != 0:
		return w.addSubclusters(c, start, from, to)
	}
	return w.add(r)
}

func (w *walker) addSubclusters(c cluster, start, from, to int64) error {
	size := w.im.geo.clusterSize / subclusters
	for from < to {
		i := (from - start) / size
		// All following subclusters of the same state come at once.
		alloc, zeroed := c.alloc>>i, c.zero>>i
		r := run{off: from}
		var n int
		switch {
		case alloc&1 != 0:
			r.kind, r.host = plain, c.host+from-start
			n = bits.TrailingZeros32(^alloc)
		case zeroed&1 != 0:
			r.kind = zero
			n = bits.TrailingZeros32(^zeroed)
		default:
			n = bits.TrailingZeros32(alloc | zeroed)
		}
		next := min(to, start+min(i+int64(n), subclusters)*size)
		r.length = next - from
		if err := w.add(r); err != nil {
			return err
		}
		from = next
	}
	return nil
}

// add takes the next run and passes on what it does not continue.
func (w *walker) add(r run) error {
	if w.last.length == 0 {
		w.last = r
		return nil
	}
	if w.last.continues(r) {
		w.last.length += r.length
		return nil
	}
	if err := w.fn(w.last); err != nil {
		return err
	}
	w.last = r
	return nil
}

func (w *walker) flush() error {
	if w.last.length == 0 {
		return nil
	}
	return w.fn(w.last)
}
