package vmdk

import (
	"context"
	"fmt"

	"github.com/blockmill/blockmill/blockio"
)

// tableRun is one or more neighbouring entries of a grain directory.
type tableRun struct {
	// index is the first entry, count how many.
	index, count int64
	// sector is where the first entry's table stands, 0 for none. In a run
	// of several, the tables follow one another.
	sector uint32
	// entries are the entries of the one table of the run. They are nil when
	// there is no table, or when the tables lie in a hole of the file, and so
	// hold nothing. raw are their bytes. Both are valid until the visitor
	// returns.
	entries []uint32
	raw     []byte
}

const (
	// walkBatch is how many directory entries are read at once.
	walkBatch = 4 << 10
	// walkTables is how many tables are read at once.
	walkTables = 64
	// holeTables is from how many tables on it pays to ask for holes.
	holeTables = 64
)

// tableWalk visits the tables of one directory in the order of the guest.
type tableWalk struct {
	s     *sparse
	gd    uint64
	visit func(tableRun) error

	raw     []byte
	entries []uint32
}

// walk visits the tables of the directory at sector gd that entries first to
// end-1 name. Its cost is that of the tables there are: it leaps over empty
// parts of the directory and over tables in holes of the file.
func (s *sparse) walk(ctx context.Context, gd uint64, first, end int64, visit func(tableRun) error) error {
	w := tableWalk{s: s, gd: gd, visit: visit}
	directory := make([]uint32, min(walkBatch, end-first))
	for first < end {
		if err := ctx.Err(); err != nil {
			return err
		}
		d := directory[:min(int64(len(directory)), end-first)]
		if err := s.tables.entries(s.file, int64(gd)*sectorSize+first*entrySize, d); err != nil {
			return err
		}
		if err := w.batch(ctx, first, d); err != nil {
			return err
		}
		first += int64(len(d))
	}
	return nil
}

// batch visits the tables that the entries d from index on name.
func (w *tableWalk) batch(ctx context.Context, index int64, d []uint32) error {
	for i := 0; i < len(d); {
		if err := w.s.checkTable(w.gd, index+int64(i), d[i]); err != nil {
			return err
		}
		j := i + 1
		if d[i] == 0 {
			for j < len(d) && d[j] == 0 {
				j++
			}
			if err := w.visit(tableRun{index: index + int64(i), count: int64(j - i)}); err != nil {
				return err
			}
			i = j
			continue
		}
		for j < len(d) && int64(d[j]) == int64(d[j-1])+tableSectors && w.s.checkTable(w.gd, 0, d[j]) == nil {
			j++
		}
		if err := w.neighbours(ctx, index+int64(i), int64(j-i), d[i]); err != nil {
			return err
		}
		i = j
	}
	return nil
}

// neighbours visits count tables that follow one another from sector on. It
// reads none that lies in a hole of the file, but in a stream, where each table
// has a marker to check.
func (w *tableWalk) neighbours(ctx context.Context, index, count int64, sector uint32) error {
	m, ok := w.s.file.ReaderAt.(blockio.Mapper)
	if !ok || count < holeTables || w.s.footer {
		return w.read(ctx, index, count, sector)
	}
	const tableBytes = tableSectors * sectorSize
	at := int64(sector) * sectorSize
	next := int64(0)
	for e, err := range m.Extents(ctx, at, count*tableBytes) {
		if err != nil {
			return fmt.Errorf("map vmdk grain tables: %w", err)
		}
		if e.State != blockio.Data {
			continue
		}
		from, to := (e.Offset-at)/tableBytes, (e.End()-at+tableBytes-1)/tableBytes
		from = max(from, next)
		if err := w.hole(index+next, from-next, sector+uint32(next*tableSectors)); err != nil {
			return err
		}
		if err := w.read(ctx, index+from, to-from, sector+uint32(from*tableSectors)); err != nil {
			return err
		}
		next = max(next, to)
	}
	return w.hole(index+next, count-next, sector+uint32(next*tableSectors))
}

func (w *tableWalk) hole(index, count int64, sector uint32) error {
	if count <= 0 {
		return nil
	}
	return w.visit(tableRun{index: index, count: count, sector: sector})
}

// readTables fills p with tables, or a marker, at off. Those of a stream may
// each stand alone among the grains: pages are little enough that what reads them
// before the grains costs little, where a source fetches more for a small read.
func (s *sparse) readTables(p []byte, off int64) error {
	if s.footer {
		return s.tables.read(s.file, p, off)
	}
	return s.file.readFull(p, off)
}

// read reads and visits count tables that follow one another from sector on.
func (w *tableWalk) read(ctx context.Context, index, count int64, sector uint32) error {
	if w.raw == nil {
		w.raw = make([]byte, walkTables*tableSectors*sectorSize)
		w.entries = make([]uint32, entriesPerTable)
	}
	for count > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(count, walkTables)
		raw := w.raw[:n*tableSectors*sectorSize]
		if err := w.s.readTables(raw, int64(sector)*sectorSize); err != nil {
			return err
		}
		for i := range n {
			run := tableRun{index: index + i, count: 1, sector: sector + uint32(i*tableSectors), entries: w.entries}
			run.raw = raw[i*tableSectors*sectorSize:][:tableSectors*sectorSize]
			decodeEntries(run.entries, run.raw)
			if err := w.visit(run); err != nil {
				return err
			}
		}
		index, count, sector = index+n, count-n, sector+uint32(n*tableSectors)
	}
	return nil
}
