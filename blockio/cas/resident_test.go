package cas

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio"
)

// mapTable maps a new file of a directory, of which nothing is resident.
func mapTable(t *testing.T, dir string, size int) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "table"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(int64(size)); err != nil {
		t.Fatal(err)
	}
	m, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(m); err != nil {
			t.Error(err)
		}
	})
	return m
}

// mappedTable names the file of mapTable.
func mappedTable(use func(map[string]bool) error) error { return use(map[string]bool{"table": true}) }

// touch makes all of a mapping resident.
func touch(m []byte) {
	for at := 0; at < len(m); at += os.Getpagesize() {
		m[at] = 1
	}
}

func residentFiles(t *testing.T) int64 {
	t.Helper()
	n, err := blockio.ResidentFiles()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestResidentLimit reads a table that is longer than the limit: without any rest it
// is never resident beyond that.
func TestResidentLimit(t *testing.T) {
	const piece, above = 1 << 20, 8 << 20
	dir := t.TempDir()
	table := mapTable(t, dir, 64*piece)
	base := residentFiles(t)
	b := newResidentBound(dir, mappedTable, slog.New(slog.DiscardHandler))
	b.most, b.limit, b.step = 0, base+above, 0
	b.rest = time.Now().Add(time.Hour)
	most := int64(0)
	for at := 0; at < len(table); at += piece {
		b.read(piece)
		touch(table[at : at+piece])
		most = max(most, residentFiles(t)-base)
	}
	if most < above/2 || most > 2*above {
		t.Errorf("up to %d bytes more were resident, want about %d", most, above)
	}
}

// TestResidentRest leaves a table alone that was taken out of memory just now, unless
// much has come since. What was left then counts no longer than the rest.
func TestResidentRest(t *testing.T) {
	const size = 16 << 20
	dir := t.TempDir()
	table := mapTable(t, dir, size)
	b := newResidentBound(dir, mappedTable, slog.New(slog.DiscardHandler))
	b.most = 0
	past, later := time.Now(), time.Now().Add(time.Hour)
	for _, at := range []struct {
		name        string
		rest        time.Time
		limit, step int64
		gone        bool
	}{
		{"at first", past, 1 << 40, 0, true},
		{"at rest", later, 1 << 40, 0, false},
		{"rested", past, 1 << 40, 0, true},
		{"at the limit", later, 0, size / 2, true},
		{"at the limit, and little has come", later, 0, 2 * size, false},
		{"rested, and little has come", past, 0, 2 * size, true},
	} {
		touch(table)
		before := residentFiles(t)
		b.rest, b.limit, b.step = at.rest, at.limit, at.step
		b.look(b.most)
		if gone := before - residentFiles(t); (gone > size/2) != at.gone {
			t.Errorf("%s: %d bytes less are resident", at.name, gone)
		}
	}
}

// TestResidentWake lets nothing happen for long: it is looked at soon all the same
// when a merge begins.
func TestResidentWake(t *testing.T) {
	const size = 16 << 20
	dir := t.TempDir()
	table := mapTable(t, dir, size)
	synctest.Test(t, func(t *testing.T) {
		b := newResidentBound(dir, mappedTable, slog.New(slog.DiscardHandler))
		b.most, b.step = 0, size/2
		go b.watch()
		defer b.stop()
		time.Sleep(time.Minute)
		touch(table)
		before := residentFiles(t)
		b.wake()
		time.Sleep(2 * residentSoon)
		synctest.Wait()
		if gone := before - residentFiles(t); gone < size/2 {
			t.Errorf("%d bytes less are resident, want about %d", gone, size)
		}
	})
}

// TestDatabaseResident reads a database in several ways: however much of it is read,
// little of it is resident.
func TestDatabaseResident(t *testing.T) {
	const above = 2 << 20
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	ids := fillDatabase(t, dir, 15, 8_000)
	db, err := openDatabase(dir, 8<<20, StoreID{1}, log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.close(); err != nil {
			t.Error(err)
		}
	}()
	db.resident.stop() // reads alone keep the limit
	base := residentFiles(t)
	b := newResidentBound(filepath.Join(dir, databaseDir), db.withTables, log)
	b.limit, b.step, b.rest = base+above, 0, time.Now().Add(time.Hour)
	close(b.stopped)
	db.resident = b
	most, n := int64(0), 0
	read := func() {
		if n++; n%200 == 0 {
			most = max(most, residentFiles(t)-base)
		}
	}
	for _, way := range []struct {
		name string
		read func() error
	}{
		{"a part", func() error { return db.chunks(t.Context(), 1, func(chunkID) { read() }) }},
		{"locations", func() error { return db.locations(t.Context(), func(location) { read() }) }},
		{"find", func() error {
			for _, id := range ids[:len(ids)/10] {
				if _, ok, err := db.find(id); !ok || err != nil {
					t.Errorf("chunk %v is not found: %v", id, err)
				}
				read()
			}
			return nil
		}},
	} {
		if most, n = 0, 0; way.read() != nil || n == 0 {
			t.Errorf("%s: %d chunks were read", way.name, n)
		}
		if most > 3*above {
			t.Errorf("%s: up to %d bytes more were resident, want about %d", way.name, most, above)
		}
	}
}

// TestTablesStay merges all tables into others while they are in use: they stay
// mapped, so that nothing else is where they were.
func TestTablesStay(t *testing.T) {
	dir := t.TempDir()
	fillDatabase(t, dir, 10, 4_000)
	db, err := openDatabase(dir, 1<<20, StoreID{1}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	err = db.withTables(func(files map[string]bool) error {
		if len(files) == 0 {
			t.Error("no table stays")
		}
		for there := db.db.Tables; slices.ContainsFunc(there(), func(t badger.TableInfo) bool {
			return files[table.IDToFilename(t.ID)]
		}); {
			putRandom(t, db, 10, 4_000)
		}
		maps, err := os.ReadFile("/proc/self/maps")
		for name := range files {
			if !bytes.Contains(maps, []byte(filepath.Join(dir, databaseDir, name)+"\n")) {
				t.Errorf("table %s is not mapped any more", name)
			}
		}
		return err
	})
	if err := errors.Join(err, db.close()); err != nil {
		t.Error(err)
	}
}

// fillDatabase makes a database of segments of random chunks.
func fillDatabase(t *testing.T, dir string, segments, each int) []chunkID {
	t.Helper()
	db, err := openDatabase(dir, 8<<20, StoreID{1}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ids := putRandom(t, db, segments, each)
	if err := db.close(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// putRandom puts segments of random chunks into a database.
func putRandom(t *testing.T, db *database, segments, each int) (ids []chunkID) {
	t.Helper()
	r := rand.New(rand.NewPCG(7, 8))
	for n := range segments {
		var id SegmentID
		binary.LittleEndian.PutUint64(id[:], uint64(n))
		entries := make([]entry, each)
		for i := range entries {
			entries[i] = entry{id: randomID(r), off: uint32(segmentHeaderSize + 64*i), stored: 1, raw: 1}
			ids = append(ids, entries[i].id)
		}
		if err := db.put(newDirectory(id, entries)); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}
