package cas

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

// sealedSegment is a segment of so many chunks.
func sealedSegment(n uint64, chunks int) *openSegment {
	var id chunkID
	binary.LittleEndian.PutUint64(id[:], n)
	seg := &openSegment{id: SegmentID(id[:16]), state: &segmentState{}}
	for i := range chunks {
		id[31] = byte(i)
		seg.entries = append(seg.entries, entry{id: id, off: uint32(segmentHeaderSize + 64*i), stored: 1, raw: 1})
	}
	return seg
}

// TestIndexRoom fills the queue of the index faster than it is drained, and then
// with a database that takes nothing.
func TestIndexRoom(t *testing.T) {
	log, dir := slog.New(slog.DiscardHandler), t.TempDir()
	db, err := openDatabase(dir, 1<<20, StoreID{1}, log)
	if err != nil {
		t.Fatal(err)
	}
	const each, most = 10, 640
	x := newIndex(db, 4, log)
	x.waitMost = most
	for n := range uint64(2 * most / each) {
		x.add(sealedSegment(n, each))
		if err := x.room(t.Context()); err != nil {
			t.Fatal(err)
		}
		x.mu.Lock()
		if x.waiting >= most {
			t.Errorf("%d chunks wait for the database", x.waiting)
		}
		x.mu.Unlock()
	}
	if err := x.flush(); err != nil || x.waiting != 0 {
		t.Errorf("%d chunks wait after a flush: %v", x.waiting, err)
	}
	if err := x.close(); err != nil {
		t.Fatal(err)
	}

	full, err := badger.Open(badger.DefaultOptions(filepath.Join(dir, databaseDir)).WithReadOnly(true).WithLogger(nil))
	if err != nil {
		t.Fatal(err)
	}
	x = newIndex(&database{db: full}, 4, log)
	x.waitMost = most
	for n := range uint64(most/each - 1) {
		x.add(sealedSegment(1<<32+n, each))
	}
	if err := x.room(t.Context()); err != nil {
		t.Errorf("room for one more: %v", err)
	}
	x.add(sealedSegment(1<<33, each))
	if err := x.room(t.Context()); !errors.Is(err, badger.ErrReadOnlyTxn) {
		t.Errorf("room behind a database that takes nothing: %v", err)
	}
	if err := x.close(); err != nil {
		t.Error(err)
	}
}

// TestIndexFlushAgain has a database that takes nothing for a while, as when its
// disk is full: what waits is not lost, and the next flush writes it.
func TestIndexFlushAgain(t *testing.T) {
	log, dir := slog.New(slog.DiscardHandler), t.TempDir()
	db, err := openDatabase(dir, 1<<20, StoreID{1}, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.close(); err != nil {
		t.Fatal(err)
	}
	full, err := badger.Open(badger.DefaultOptions(filepath.Join(dir, databaseDir)).WithReadOnly(true).WithLogger(nil))
	if err != nil {
		t.Fatal(err)
	}
	x := newIndex(&database{db: full}, 4, log)
	seg := sealedSegment(7, 1)
	x.add(seg)
	if err := x.flush(); !errors.Is(err, badger.ErrReadOnlyTxn) {
		t.Errorf("flush to a database that takes nothing: %v", err)
	}
	if err := full.Close(); err != nil {
		t.Fatal(err)
	}
	if x.db, err = openDatabase(dir, 1<<20, StoreID{1}, log); err != nil {
		t.Fatal(err)
	}
	if err := x.flush(); err != nil {
		t.Errorf("flush when the database takes entries again: %v", err)
	}
	if _, ok, err := x.db.find(seg.entries[0].id); !ok || err != nil {
		t.Errorf("the database has the chunk: %v, %v", ok, err)
	}
	if err := x.close(); err != nil {
		t.Error(err)
	}
}
