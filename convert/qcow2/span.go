package qcow2

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/blockmill/blockmill/blockio"
)

const (
	// smallCluster is the longest cluster whose L2 tables are fetched with what
	// stands between them: a table of them is for half a mebibyte of guest or less.
	smallCluster = 2 << 10
	// spanLimit is the most bytes that are fetched so at once.
	spanLimit = 1 << 20
	// spanL1 is how many L1 entries are looked at at once, spanAhead how many more to
	// find the table that follows the last.
	spanL1, spanAhead = 512, 64
	// spanGrace is how many bytes between tables are fetched before they have to have
	// been of use.
	spanGrace = 1 << 20
)

// span is a part of the file that was fetched: L2 tables and what stands between
// them, which is their data in a file that was written in order.
type span struct {
	from  int64
	bytes []byte
}

func (s *span) to() int64 { return s.from + int64(len(s.bytes)) }

// read fills p with the bytes at off if the span has them.
func (s *span) read(p []byte, off int64) bool {
	if off < s.from || off+int64(len(p)) > s.to() {
		return false
	}
	copy(p, s.bytes[off-s.from:])
	return true
}

// spanUse counts how much of what stands between tables was of use.
type spanUse struct{ fetched, used atomic.Int64 }

// pays says that little of it was not.
func (u *spanUse) pays() bool { return (u.fetched.Load()-spanGrace)/16*15 <= u.used.Load() }

// piece is what is fetched at once: the tables of the L1 entries [first, end) in
// the host range [from, to).
type piece struct {
	first, end int
	from, to   int64
	tables     int64
}

// spanReader is what a reader has for spans.
type spanReader struct {
	raw    [(spanL1 + spanAhead) * 8]byte
	tables [spanL1 + spanAhead]int64 // offsets, 0 for none
	next   [spanL1 + spanAhead]int64 // the next of tables that is not 0, or 0
	pieces []piece
	table  [smallCluster]byte
	rest   []run // that no span had
}

// readSpans reads guest bytes of small clusters: tables and data at once, as far as
// they stand together, and then what is elsewhere.
func (rd *reader) readSpans(p []byte, off int64) error {
	if rd.spans == nil {
		rd.spans = new(spanReader)
	}
	rd.p, rd.off, rd.spans.rest = p, off, rd.spans.rest[:0]
	defer func() { rd.p = nil }()
	shift, end := rd.im.geo.l1Shift(), off+int64(len(p))
	for first := off >> shift; first<<shift < end; first += spanL1 {
		n := min(spanL1, (end-1)>>shift-first+1)
		if err := rd.readL1(first, n); err != nil {
			return err
		}
		rd.plan(int(n))
		for i := range rd.spans.pieces {
			if err := rd.readPiece(i, first, off, end); err != nil {
				return err
			}
		}
	}
	rd.runs = append(rd.runs[:0], rd.spans.rest...)
	return rd.readRuns()
}

// readL1 reads n L1 entries from first on, and some that follow.
func (rd *reader) readL1(first, n int64) error {
	g, s := rd.im.geo, rd.spans
	more := min(g.l1Entries-first, n+spanAhead)
	if err := rd.im.readTable(s.raw[:more*8], g.l1Offset+first*8); err != nil {
		return fmt.Errorf("L1 table: %w", err)
	}
	next := int64(0)
	for i := len(s.tables) - 1; i >= 0; i-- {
		s.tables[i], s.next[i] = 0, next
		if int64(i) >= more {
			continue
		}
		table, err := g.l2Table(l1Entry(binary.BigEndian.Uint64(s.raw[i*8:])), first+int64(i))
		if err != nil && int64(i) < n {
			return err
		}
		if err == nil && table != 0 {
			s.tables[i], next = table, table
		}
	}
	return nil
}

// plan makes pieces of the first n entries.
func (rd *reader) plan(n int) {
	g, s := rd.im.geo, rd.spans
	gap := int64(0)
	if rd.im.use.pays() {
		gap = 1<<g.l1Shift() + gatherSlack
	}
	near := func(table, next int64) bool {
		return next >= table+g.clusterSize && next-table <= g.clusterSize+gap
	}
	s.pieces = s.pieces[:0]
	for i := 0; i < n; {
		p, last := piece{first: i}, int64(0)
		for ; i < n; i++ {
			table := s.tables[i]
			if table == 0 {
				continue
			}
			if last == 0 {
				p.from = table
			} else if !near(last, table) {
				break
			}
			to := table + g.clusterSize
			if near(table, s.next[i]) {
				to = s.next[i]
			}
			if last != 0 && to-p.from > spanLimit {
				break
			}
			last, p.to = table, to
			p.tables++
		}
		p.end = i
		s.pieces = append(s.pieces, p)
	}
}

// readPiece reads what piece i has of the guest bytes [off, end); first is the L1
// entry that the pieces count from.
func (rd *reader) readPiece(i int, first, off, end int64) error {
	g, s := rd.im.geo, rd.spans
	p := &s.pieces[i]
	from := max(off, (first+int64(p.first))<<g.l1Shift())
	to := min(end, (first+int64(p.end))<<g.l1Shift())
	if p.tables == 0 {
		clear(rd.p[from-off : to-off])
		return nil
	}
	sp := span{from: p.from, bytes: s.table[:g.clusterSize]}
	if p.to-p.from > g.clusterSize {
		loan, host := rd.im.buffers.take(int(p.to - p.from))
		defer rd.im.buffers.give(loan)
		sp.bytes = host
		if err := rd.im.readData(host, p.from); err != nil {
			return fmt.Errorf("L2 tables and clusters: %w", err)
		}
	} else {
		for j := i + 1; j < min(len(s.pieces), i+leavesAhead); j++ {
			if next := s.pieces[j]; next.tables == 1 && next.to-next.from == g.clusterSize {
				rd.im.prefetchLeaf(next.from)
			}
		}
		if err := rd.im.readLeaf(sp.bytes, p.from); err != nil {
			return fmt.Errorf("L2 table of L1 entry %d: %w", first+int64(p.first), err)
		}
	}
	if err := rd.im.seen.counts(rd.im, sp); err != nil {
		return err
	}
	for j := p.first; j < p.end; j++ {
		if table := s.tables[j]; table != 0 {
			rd.im.seen.table(first+int64(j), table, sp.bytes[table-sp.from:][:g.clusterSize])
		}
	}
	return rd.takeSpan(sp, p.tables*g.clusterSize, from, to)
}

// takeSpan reads the guest bytes [from, to) as far as the span has them, and leaves
// the rest. Of the span so many bytes are tables.
func (rd *reader) takeSpan(sp span, tables, from, to int64) error {
	rd.runs, rd.walker.span = rd.runs[:0], sp
	defer func() { rd.walker.span = span{} }()
	if err := rd.walker.walk(context.Background(), from, to, rd.take); err != nil {
		return err
	}
	used := int64(0)
	for _, r := range rd.runs {
		n, err := rd.takeRunOf(sp, r)
		if err != nil {
			return err
		}
		used += n
	}
	if gap := int64(len(sp.bytes)) - tables; gap > 0 {
		rd.im.use.fetched.Add(gap)
		rd.im.use.used.Add(min(used, gap))
	}
	return nil
}

// takeRunOf takes a run from a span, or what there is of a plain one, and leaves the
// rest. It returns how many bytes of the span that was.
func (rd *reader) takeRunOf(sp span, r run) (int64, error) {
	from, to := max(r.host, sp.from), min(r.host+r.hostLen, sp.to())
	if from >= to || r.kind == compressed && to-from < r.hostLen {
		rd.spans.rest = append(rd.spans.rest, r)
		return 0, nil
	}
	host := sp.bytes[from-sp.from : to-sp.from]
	if r.kind == compressed {
		blockio.Yield()
		return r.hostLen, rd.decode(r, host)
	}
	copy(rd.guest(r)[from-r.host:], host)
	if n := from - r.host; n > 0 {
		rd.spans.rest = append(rd.spans.rest, run{off: r.off, length: n, kind: plain, host: r.host, hostLen: n})
	}
	if n := r.host + r.hostLen - to; n > 0 {
		rd.spans.rest = append(rd.spans.rest, run{off: r.end() - n, length: n, kind: plain, host: to, hostLen: n})
	}
	return to - from, nil
}
