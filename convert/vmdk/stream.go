package vmdk

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"slices"
	"sync"
)

const (
	// holdBytes is how much of the stream is held back to put it in order.
	holdBytes = 24 << 20
	// streamBlock is the size of the writes; they begin at multiples of it.
	streamBlock = 1 << 20
	// maxTables is how many tables are held for grains still to come, 32 MiB
	// of memory for 512 GiB of guest.
	maxTables = 16 << 10
)

var (
	errStream   = errors.New("an earlier write failed")
	errTooLarge = errors.New("the file exceeds 2 TiB")
	errDisorder = errors.New("too far behind what was written already")
)

// stream puts pieces in the order of the guest and appends them to the target.
//
// A piece waits while a call with a lower offset is compressing, and while
// less than holdBytes wait: a lower one may still be on its way. So the order
// is ascending unless a caller comes late by as much output as that. Then its
// piece follows higher ones, which readers that use the tables do not mind;
// some that only stream do. Tables come after the grains.
type stream struct {
	dst Target

	mu      sync.Mutex
	idle    sync.Cond          // broadcast when a call leaves
	calls   map[*ticket]bool   // that compress now
	held    []*heldPiece       // waiting, in descending order of offset
	waiting int                // bytes in held
	err     error              // the first failure; nothing is written after it
	block   []byte             // the bytes from next - len(block) on
	next    int64              // the file offset where the stream goes on
	sum     uint32             // of all bytes
	tables  map[int64][]uint32 // open tables by index
	closed  int64              // tables below this one are written
	gd      []uint32
}

// ticket is a call that is under way.
type ticket struct{ off int64 }

type heldPiece struct {
	off int64
	*piece
}

func newStream(dst Target, tables int64) *stream {
	s := &stream{
		dst: dst, calls: make(map[*ticket]bool), tables: make(map[int64][]uint32),
		block: make([]byte, 0, streamBlock), next: writeOverhead * sectorSize, gd: make([]uint32, tables),
	}
	s.idle.L = &s.mu
	return s
}

// enter begins a call that will write at off.
func (s *stream) enter(off int64) *ticket {
	t := &ticket{off}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[t] = true
	return t
}

// leave ends a call, with its piece or nil. It waits while too much is held
// for the sake of calls with lower offsets, which leave by themselves.
func (s *stream) leave(t *ticket, p *piece) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, t)
	s.idle.Broadcast()
	if p != nil && len(p.grains) > 0 {
		h := &heldPiece{t.off, p}
		i, _ := slices.BinarySearchFunc(s.held, h, func(a, b *heldPiece) int { return cmp.Compare(b.off, a.off) })
		s.held = slices.Insert(s.held, i, h)
		s.waiting += len(p.bytes)
	}
	for s.waiting > holdBytes && s.err == nil {
		if first := s.held[len(s.held)-1]; s.before(first.off) {
			s.idle.Wait()
			continue
		}
		s.release()
	}
	return s.err
}

// before tells whether a call with a lower offset is under way. The caller
// holds mu.
func (s *stream) before(off int64) bool {
	for t := range s.calls {
		if t.off < off {
			return true
		}
	}
	return false
}

// release appends the held piece with the lowest offset. The caller holds mu.
func (s *stream) release() {
	h := s.held[len(s.held)-1]
	s.held = s.held[:len(s.held)-1]
	s.waiting -= len(h.bytes)
	if len(s.tables) >= maxTables {
		if err := s.closeTables(maxTables / 2); err != nil {
			s.fail(err)
			return
		}
	}
	for _, g := range h.grains {
		if err := s.place(g); err != nil {
			s.fail(err)
			return
		}
	}
	if err := s.append(h.bytes); err != nil {
		s.fail(err)
	}
}

// fail keeps the first failure. The caller holds mu.
func (s *stream) fail(err error) {
	if s.err == nil {
		s.err = fmt.Errorf("%w: %w", errStream, err)
	}
}

// place notes in its table where a grain of the next piece will stand. The
// caller holds mu.
func (s *stream) place(g storedGrain) error {
	sector := s.next/sectorSize + int64(g.sector)
	if sector > math.MaxUint32 {
		return errTooLarge
	}
	index := g.number / entriesPerTable
	table := s.tables[index]
	if table == nil {
		if index < s.closed {
			return fmt.Errorf("grain %d: %w", g.number, errDisorder)
		}
		table = make([]uint32, entriesPerTable)
		s.tables[index] = table
	}
	table[g.number%entriesPerTable] = uint32(sector)
	return nil
}

// closeTables writes the n tables with the lowest indexes, or all there are,
// each behind its marker. The caller holds mu.
func (s *stream) closeTables(n int) error {
	p := make([]byte, sectorSize+tableSectors*sectorSize)
	marker{val: tableSectors, kind: markerGT}.encode(p)
	for _, index := range slices.Sorted(maps.Keys(s.tables))[:min(n, len(s.tables))] {
		sector := s.next/sectorSize + 1
		if sector > math.MaxUint32 {
			return errTooLarge
		}
		encodeEntries(p[sectorSize:], s.tables[index])
		if err := s.append(p); err != nil {
			return err
		}
		s.gd[index] = uint32(sector)
		delete(s.tables, index)
		s.closed = index + 1
	}
	return nil
}

// finishTables appends all that is held, the tables and the directory, and
// tells the sector of the directory. No call may be under way.
func (s *stream) finishTables() (directory uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.held) > 0 && s.err == nil {
		s.release()
	}
	if s.err != nil {
		return 0, s.err
	}
	if err := s.closeTables(len(s.tables)); err != nil {
		return 0, err
	}
	sectors := sectorsOf(int64(len(s.gd)) * entrySize)
	p := make([]byte, (1+sectors)*sectorSize)
	marker{val: uint64(sectors), kind: markerGD}.encode(p)
	encodeEntries(p[sectorSize:], s.gd)
	directory = uint64(s.next/sectorSize + 1)
	return directory, s.append(p)
}

func encodeEntries(p []byte, entries []uint32) {
	for i, e := range entries {
		binary.LittleEndian.PutUint32(p[i*entrySize:], e)
	}
}

// append adds bytes to the stream and writes full blocks. The caller holds
// mu, or is alone.
func (s *stream) append(p []byte) error {
	s.sum = crc32.Update(s.sum, crc32.MakeTable(crc32.Castagnoli), p)
	for len(p) > 0 {
		n := min(len(p), int(streamBlock-s.next%streamBlock))
		s.block = append(s.block, p[:n]...)
		s.next += int64(n)
		p = p[n:]
		if s.next%streamBlock == 0 {
			if err := s.write(); err != nil {
				return err
			}
		}
	}
	return nil
}

// write writes what the block has. The caller holds mu, or is alone.
func (s *stream) write() error {
	if _, err := s.dst.WriteAt(s.block, s.next-int64(len(s.block))); err != nil {
		return err
	}
	s.block = s.block[:0]
	return nil
}

// flush writes the rest of the stream and tells where it ends.
func (s *stream) flush() (size int64, err error) { return s.next, s.write() }
