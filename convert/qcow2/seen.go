package qcow2

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
)

const (
	// maxWaiting bounds the bytes of tables that are kept until a check is ready for
	// them.
	maxWaiting = 2 << 20
	// maxCounts bounds the bytes that are kept of refcount blocks.
	maxCounts = 4 << 20
)

// seen hands what readers see of the tables to the check beside them, so that it need
// not fetch them for itself.
type seen struct {
	mu sync.Mutex
	// checker has the tables while a check goes on, begun says that one has.
	// waiting are those seen before, of room bytes.
	checker *l2Checker
	begun   bool
	ended   bool
	waiting []seenTable
	room    int
	failed  chan error // one place

	checked bitSet // L1 entries whose tables were handed over
	ones    bitSet // refcount blocks whose counts are all 1
	// used are other refcount blocks without 0: which counts are 1.
	used      map[int64]bitSet
	usedBytes int
}

type seenTable struct {
	index, off int64
	entries    []byte
}

// begin makes the caller the one whose check looks at what is seen, unless one did.
func (s *seen) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.begun
	s.begun = true
	return first
}

// check checks all that readers see, until read is closed.
func (s *seen) check(ctx context.Context, w *l2Checker, read <-chan struct{}) error {
	failed := make(chan error, 1)
	s.mu.Lock()
	s.checker, s.failed = w, failed
	for _, t := range s.waiting {
		s.handOver(t)
	}
	s.waiting = nil
	s.mu.Unlock()
	var err error
	select {
	case <-read:
	case <-ctx.Done():
		err = ctx.Err()
	case err = <-failed:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checker, s.ended = nil, true
	select {
	case err = <-failed:
	default:
	}
	return err
}

// handOver checks a table. The caller holds mu.
func (s *seen) handOver(t seenTable) {
	if err := s.checker.checkEntries(t.entries, place{t.index, t.off, 0}); err != nil {
		select {
		case s.failed <- err:
		default: // there is one already
		}
	}
}

// table notes a whole L2 table, that of an L1 entry.
func (s *seen) table(index, off int64, entries []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.checked.has(index) {
		return
	}
	t := seenTable{index, off, entries}
	switch {
	case s.checker != nil:
		s.handOver(t)
	case s.room+len(entries) > maxWaiting:
		return
	default:
		s.room += len(entries)
		t.entries = slices.Clone(entries)
		s.waiting = append(s.waiting, t)
	}
	s.checked.set(index)
}

// counts notes the refcount blocks in a part of the file. They are looked for near
// the clusters that they count, which is where writers have them.
func (s *seen) counts(im *Image, sp span) error {
	g := im.geo
	covers := g.clusterSize << g.clusterBits * 8 >> im.hdr.refcountOrder // bytes of the file
	var raw [1 << 10]byte
	for i, end := sp.from/covers, min((sp.to()-1)/covers+1, im.refcountBlocks()); i < end; i += int64(len(raw)) / 8 {
		n := min(int64(len(raw))/8, end-i)
		if err := im.readTable(raw[:n*8], int64(im.hdr.refcountTableOffset)+i*8); err != nil {
			return err
		}
		for j := range n {
			at := int64(binary.BigEndian.Uint64(raw[j*8:]))
			if at >= sp.from && at <= sp.to()-g.clusterSize {
				s.block(i+j, sp.bytes[at-sp.from:][:g.clusterSize], im.hdr.refcountOrder)
			}
		}
	}
	return nil
}

// block notes a refcount block. One with a 0 is left for the check to read.
func (s *seen) block(index int64, p []byte, order uint32) {
	n := int64(len(p)) * 8 >> order
	var one bitSet
	all := true
	for i := range n {
		switch refcount(p, order, i) {
		case 0:
			return
		case 1:
			one.set(i)
		default:
			all = false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case all:
		s.ones.set(index)
	case s.used[index] == nil && s.usedBytes < maxCounts:
		if s.used == nil {
			s.used = make(map[int64]bitSet)
		}
		one.set(n) // which nobody asks for: it is not empty
		s.used[index] = one
		s.usedBytes += 8*cap(one) + usedOverhead
	}
}

// usedOverhead is about what a map takes for a set.
const usedOverhead = 64

// allUsed says that no count of a refcount block is 0, and which are 1: all of them
// when one is nil.
func (s *seen) allUsed(block int64) (one bitSet, ok bool) {
	if s == nil {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ones.has(block) {
		return nil, true
	}
	one, ok = s.used[block]
	return one, ok
}

// bitSet is a set of small numbers, as long as the largest takes.
type bitSet []uint64

func (b bitSet) has(i int64) bool { return i/64 < int64(len(b)) && b[i/64]>>(i%64)&1 != 0 }

func (b *bitSet) set(i int64) {
	if n := i/64 + 1 - int64(len(*b)); n > 0 {
		*b = append(*b, make([]uint64, n)...)
	}
	(*b)[i/64] |= 1 << (i % 64)
}
