package cas

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"

	"github.com/blockmill/blockmill/blockio/badgerdb"
)

// The keys of the database begin with what they are. Its values are of no
// interest to anyone else: the database is made again when it does not fit.
const (
	chunkKey  = 'c' // + digest → location
	markerKey = 's' // + segment id → empty: all its chunks are in
	storeKey  = "m" // → database layout, store id

	// databaseDir is Badger's directory inside that of the index.
	databaseDir = "badger"

	// tableSize is how long the tables of every level get. Merging some takes
	// twice their length for each that is made.
	tableSize = 2 << 20
	// levelFactor is how much larger each level is than the one above. One of its
	// tables is merged with about as many of the next, and what a merge is making
	// stays in memory until it is done.
	levelFactor = 4
	// newTables is how many written memtables are merged into the levels at once, and
	// newTablesMost how many there may be before writes wait: they are merged all.
	newTables, newTablesMost = 4, 6

	locationSize = 16 + 4 + 4 + 4 + 4 + 1
	layout       = 1
)

// database is the part of the index that is kept on disk between opens: Badger,
// with small tables and all values beside their keys. Every write is synced, so
// that a marker never outlives the chunks it vouches for.
type database struct {
	db *badger.DB
	// resident bounds the memory of the tables; nil when none are mapped.
	resident *residentBound
}

var errForeignIndex = errors.New("index of another store or layout")

// openDatabase opens the database in the directory of the index, or in memory when
// dir is empty. One that cannot be used is removed and begun again, empty.
func openDatabase(dir string, memtable int64, store StoreID, log *slog.Logger) (*database, error) {
	if dir != "" {
		dir = filepath.Join(dir, databaseDir)
	}
	d, err := tryDatabase(dir, memtable, store, log)
	if err == nil || dir == "" {
		return d, err
	}
	log.Warn("the index cannot be used and is made again", "dir", dir, "reason", err)
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("remove index: %w", err)
	}
	return tryDatabase(dir, memtable, store, log)
}

func tryDatabase(dir string, memtable int64, store StoreID, log *slog.Logger) (*database, error) {
	opt := badgerdb.Options(dir, "index", log).
		WithMemTableSize(memtable).
		WithValueThreshold(1 << 10).
		WithBaseTableSize(tableSize)
	opt.TableSizeMultiplier = 1
	opt.LevelSizeMultiplier = levelFactor
	opt.NumLevelZeroTables, opt.NumLevelZeroTablesStall = newTables, newTablesMost
	db, err := badgerdb.Open(opt, func(db *badger.DB) error { return claim(db, store) })
	if err != nil {
		return nil, fmt.Errorf("open index %s: %w", dir, err)
	}
	d := &database{db: db}
	if dir != "" {
		d.resident = boundResident(dir, d.withTables, log)
	}
	return d, nil
}

// claim checks that a database is the store's, or makes an empty one so.
func claim(db *badger.DB, store StoreID) error {
	want := append([]byte{layout}, store[:]...)
	var got []byte
	err := db.View(func(tx *badger.Txn) error {
		item, err := tx.Get([]byte(storeKey))
		if err != nil {
			return err
		}
		got, err = item.ValueCopy(nil)
		return err
	})
	switch {
	case errors.Is(err, badger.ErrKeyNotFound):
		return db.Update(func(tx *badger.Txn) error { return tx.Set([]byte(storeKey), want) })
	case err != nil:
		return fmt.Errorf("read index: %w", err)
	case string(got) != string(want):
		return errForeignIndex
	}
	return nil
}

func (d *database) close() error {
	d.resident.stop()
	if err := d.db.Close(); err != nil {
		return fmt.Errorf("close index: %w", err)
	}
	return nil
}

// find looks a chunk up.
func (d *database) find(id chunkID) (loc location, ok bool, err error) {
	d.resident.read(residentLookup)
	err = d.db.View(func(tx *badger.Txn) error {
		item, err := tx.Get(keyOf(id))
		if err != nil {
			return err
		}
		return item.Value(func(p []byte) error {
			loc, err = parseLocation(id, p)
			return err
		})
	})
	if errors.Is(err, badger.ErrKeyNotFound) {
		return location{}, false, nil
	}
	if err != nil {
		return location{}, false, fmt.Errorf("look up chunk %v: %w", id, err)
	}
	return loc, true, nil
}

// put adds the chunks of a segment, and then the marker that says so.
func (d *database) put(dir *directory) error {
	d.resident.wake()
	wb := d.db.NewWriteBatch()
	defer wb.Cancel()
	for i, e := range dir.entries {
		if err := wb.Set(keyOf(e.id), appendLocation(location{dir.id, uint32(i), e})); err != nil {
			return fmt.Errorf("index segment %v: %w", dir.id, err)
		}
	}
	if err := wb.Set(marker(dir.id), nil); err != nil {
		return fmt.Errorf("index segment %v: %w", dir.id, err)
	}
	if err := wb.Flush(); err != nil {
		return fmt.Errorf("index segment %v: %w", dir.id, err)
	}
	return nil
}

// forget removes a segment's marker, and then what still points to the segment. It
// looks in the order of the keys, in which the same pages serve several.
func (d *database) forget(id SegmentID, entries []entry) error {
	d.resident.wake()
	wb := d.db.NewWriteBatch()
	defer wb.Cancel()
	if err := wb.Delete(marker(id)); err != nil {
		return fmt.Errorf("forget segment %v: %w", id, err)
	}
	sorted := slices.SortedFunc(slices.Values(entries), func(a, b entry) int { return bytes.Compare(a.id[:], b.id[:]) })
	for _, e := range sorted {
		loc, ok, err := d.find(e.id)
		if err != nil {
			return err
		}
		if !ok || loc.segment != id {
			continue
		}
		if err := wb.Delete(keyOf(e.id)); err != nil {
			return fmt.Errorf("forget segment %v: %w", id, err)
		}
	}
	if err := wb.Flush(); err != nil {
		return fmt.Errorf("forget segment %v: %w", id, err)
	}
	return nil
}

// keys is about how many keys there are: chunks that merges have not joined yet count
// twice, and what was written last does not.
func (d *database) keys() int {
	n := 0
	for _, t := range d.db.Tables() {
		n += int(t.KeyCount)
	}
	return n
}

// segments lists the markers.
func (d *database) segments() (map[SegmentID]bool, error) {
	found := make(map[SegmentID]bool)
	err := d.scan(context.Background(), []byte{markerKey}, func(item *badger.Item) error {
		if key := item.Key(); len(key) == 1+len(SegmentID{}) {
			found[SegmentID(key[1:])] = true
		}
		return nil
	})
	return found, err
}

// chunks calls each for every chunk of a part that was there when it began.
func (d *database) chunks(ctx context.Context, part byte, each func(chunkID)) error {
	return d.scanPart(ctx, part, func(id chunkID, _ *badger.Item) error {
		each(id)
		return nil
	})
}

// locations calls each for every chunk, of one part after another. It passes over those
// whose location makes no sense: find says so of them.
func (d *database) locations(ctx context.Context, each func(location)) error {
	for part := range databaseParts {
		err := d.scanPart(ctx, byte(part), func(id chunkID, item *badger.Item) error {
			return item.Value(func(p []byte) error {
				if loc, err := parseLocation(id, p); err == nil {
					each(loc)
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// databaseParts is how many parts the chunks are looked at in, by the first byte of
// the digest: what is looked at stays on the disk and in memory, also when a merge has
// made it anew.
const databaseParts = 256

// scanPart calls each for every chunk of a part.
func (d *database) scanPart(ctx context.Context, part byte, each func(chunkID, *badger.Item) error) error {
	return d.scan(ctx, []byte{chunkKey, part}, func(item *badger.Item) error {
		if key := item.Key(); len(key) == 1+len(chunkID{}) {
			return each(chunkID(key[1:]), item)
		}
		return nil
	})
}

// counts says how many chunks each segment has that are found there.
func (d *database) counts(ctx context.Context) (map[SegmentID]int, error) {
	found := make(map[SegmentID]int)
	err := d.scan(ctx, []byte{chunkKey}, func(item *badger.Item) error {
		return item.Value(func(p []byte) error {
			if len(p) != locationSize {
				return corrupt("index", 0, "location of %d bytes, expected %d", len(p), locationSize)
			}
			found[SegmentID(p[:16])]++
			return nil
		})
	})
	return found, err
}

// scan calls each with every item whose key begins with prefix.
func (d *database) scan(ctx context.Context, prefix []byte, each func(*badger.Item) error) error {
	return d.db.View(func(tx *badger.Txn) error {
		it := tx.NewIterator(badger.IteratorOptions{Prefix: prefix})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			d.resident.read(it.Item().EstimatedSize())
			if err := each(it.Item()); err != nil {
				return err
			}
		}
		return nil
	})
}

// withTables calls use with the files of tables that no merge removes until it
// returns: an iterator holds those that there were before it and are still there.
func (d *database) withTables(use func(files map[string]bool) error) error {
	before := make(map[uint64]bool)
	for _, t := range d.db.Tables() {
		before[t.ID] = true
	}
	return d.db.View(func(tx *badger.Txn) error {
		it := tx.NewIterator(badger.IteratorOptions{})
		defer it.Close()
		files := make(map[string]bool)
		for _, t := range d.db.Tables() {
			if before[t.ID] {
				files[table.IDToFilename(t.ID)] = true
			}
		}
		return use(files)
	})
}

func keyOf(id chunkID) []byte    { return append([]byte{chunkKey}, id[:]...) }
func marker(id SegmentID) []byte { return append([]byte{markerKey}, id[:]...) }

func appendLocation(loc location) []byte {
	p := make([]byte, 0, locationSize)
	p = append(p, loc.segment[:]...)
	p = binary.LittleEndian.AppendUint32(p, loc.ordinal)
	p = binary.LittleEndian.AppendUint32(p, loc.off)
	p = binary.LittleEndian.AppendUint32(p, loc.stored)
	p = binary.LittleEndian.AppendUint32(p, loc.raw)
	return append(p, byte(loc.codec))
}

func parseLocation(id chunkID, p []byte) (location, error) {
	if len(p) != locationSize {
		return location{}, corrupt("index", 0, "location of %d bytes, expected %d", len(p), locationSize)
	}
	loc := location{segment: SegmentID(p[:16]), ordinal: binary.LittleEndian.Uint32(p[16:])}
	loc.entry = entry{
		id:     id,
		off:    binary.LittleEndian.Uint32(p[20:]),
		stored: binary.LittleEndian.Uint32(p[24:]),
		raw:    binary.LittleEndian.Uint32(p[28:]),
		codec:  Codec(p[32]),
	}
	if !loc.sane() {
		return location{}, corrupt("index", 0, "location of chunk %v makes no sense", id)
	}
	return loc, nil
}
