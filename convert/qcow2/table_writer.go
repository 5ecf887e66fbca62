package qcow2

import (
	"container/list"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

const (
	l1Chunk = 4096 // entries
	// residentTables bounds the L2 tables in memory, in bytes.
	residentTables = 16 << 20
)

// tableWriter keeps the L1 table, and of the L2 tables those that were written
// to of late. One that is dropped goes to the file whole; should a window of
// its range come after all, its entries are written to their place.
//
// An L2 table that lies in one window does not come here: the window writes it.
type tableWriter struct {
	geo      *geometry
	l1       [][]uint64 // in chunks, nil while empty
	resident map[int64]*list.Element
	recent   list.List // of *l2Resident, the latest first
	max      int
}

type l2Resident struct {
	index   int64
	entries []byte
}

func newTableWriter(g *geometry) tableWriter {
	return tableWriter{
		geo:      g,
		l1:       make([][]uint64, (g.l1Entries+l1Chunk-1)/l1Chunk),
		resident: map[int64]*list.Element{},
		max:      int(residentTables >> g.clusterBits),
	}
}

// narrow says that a window holds whole L2 tables.
func (t *tableWriter) narrow() bool { return int64(1)<<t.geo.l1Shift() <= Window }

func (t *tableWriter) l1At(index int64) uint64 {
	if chunk := t.l1[index/l1Chunk]; chunk != nil {
		return chunk[index%l1Chunk]
	}
	return 0
}

// setL1 points an L1 entry to a table.
func (t *tableWriter) setL1(index, table int64) {
	chunk := &t.l1[index/l1Chunk]
	if *chunk == nil {
		*chunk = make([]uint64, l1Chunk)
	}
	(*chunk)[index%l1Chunk] = uint64(table) | copiedBit
}

// put sets the entries of consecutive clusters of one window, first being the
// first one's number. It writes what must go to the file for that.
func (t *tableWriter) put(dst Target, a *allocator, first int64, entries []uint64) error {
	index, slot := first>>t.geo.l2Bits, first&(1<<t.geo.l2Bits-1)
	if l1 := t.l1At(index); l1 != 0 {
		return t.patch(dst, int64(l1&offsetMask)+slot*8, entries)
	}
	el := t.resident[index]
	if el == nil {
		if len(t.resident) >= t.max {
			if err := t.evict(dst, a); err != nil {
				return err
			}
		}
		el = t.recent.PushFront(&l2Resident{index, make([]byte, t.geo.clusterSize)})
		t.resident[index] = el
	}
	t.recent.MoveToFront(el)
	putEntries(el.Value.(*l2Resident).entries[slot*8:], entries)
	return nil
}

// putEntries sets the entries that say anything.
func putEntries(table []byte, entries []uint64) {
	for i, e := range entries {
		if e != 0 {
			binary.BigEndian.PutUint64(table[i*8:], e)
		}
	}
}

func (t *tableWriter) patch(dst Target, off int64, entries []uint64) error {
	p := make([]byte, len(entries)*8)
	putEntries(p, entries)
	if _, err := dst.WriteAt(p, off); err != nil {
		return fmt.Errorf("L2 table: %w", err)
	}
	return nil
}

// evict writes the table that was not written to for longest.
func (t *tableWriter) evict(dst Target, a *allocator) error {
	oldest := t.recent.Remove(t.recent.Back()).(*l2Resident)
	delete(t.resident, oldest.index)
	first, err := a.clusters(1)
	if err != nil {
		return err
	}
	table := first << t.geo.clusterBits
	if _, err := dst.WriteAt(oldest.entries, table); err != nil {
		return fmt.Errorf("L2 table %d: %w", oldest.index, err)
	}
	t.setL1(oldest.index, table)
	return nil
}

// finish writes the tables that are left, then the L1 table, and returns its
// place.
func (t *tableWriter) finish(dst Target, a *allocator) (l1 int64, err error) {
	out := newStage(dst, packChunk)
	indexes := slices.Sorted(maps.Keys(t.resident))
	first, err := a.clusters(int64(len(indexes)))
	if err != nil {
		return 0, err
	}
	if err := out.seek(first << t.geo.clusterBits); err != nil {
		return 0, err
	}
	for i, index := range indexes {
		t.setL1(index, (first+int64(i))<<t.geo.clusterBits)
		if err := out.write(t.resident[index].Value.(*l2Resident).entries); err != nil {
			return 0, fmt.Errorf("L2 table %d: %w", index, err)
		}
	}
	if t.geo.l1Entries == 0 {
		return 0, out.flush()
	}
	n := (t.geo.l1Entries*8 + t.geo.clusterSize - 1) >> t.geo.clusterBits
	if first, err = a.clusters(n); err != nil {
		return 0, err
	}
	l1 = first << t.geo.clusterBits
	return l1, t.writeL1(out, l1, n<<t.geo.clusterBits)
}

// writeL1 writes the L1 table, padded to length bytes.
func (t *tableWriter) writeL1(out *stage, off, length int64) error {
	if err := out.seek(off); err != nil {
		return err
	}
	page := make([]byte, l1Chunk*8)
	for _, chunk := range t.l1 {
		clear(page)
		putEntries(page, chunk)
		n := min(length, int64(len(page)))
		if err := out.write(page[:n]); err != nil {
			return fmt.Errorf("L1 table: %w", err)
		}
		length -= n
	}
	if err := out.write(make([]byte, length)); err != nil {
		return fmt.Errorf("L1 table: %w", err)
	}
	return out.flush()
}
