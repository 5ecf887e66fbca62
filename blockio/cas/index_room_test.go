package cas

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

// sealedSegment is a segment of one chunk.
func sealedSegment(n uint64) *openSegment {
	var id chunkID
	binary.LittleEndian.PutUint64(id[:], n)
	return &openSegment{
		id: SegmentID(id[:16]), state: &segmentState{},
		entries: []entry{{id: id, off: segmentHeaderSize, stored: 1, raw: 1}},
	}
}

// TestIndexRoom fills the queue of the index faster than it is drained, and then
// with a database that takes nothing.
func TestIndexRoom(t *testing.T) {
	log, dir := slog.New(slog.DiscardHandler), t.TempDir()
	db, err := openDatabase(dir, 1<<20, StoreID{1}, log)
	if err != nil {
		t.Fatal(err)
	}
	x := newIndex(db, 4, log)
	for n := range uint64(2 * queueMost) {
		x.add(sealedSegment(n))
		if err := x.room(t.Context()); err != nil {
			t.Fatal(err)
		}
		x.mu.Lock()
		if len(x.queue) >= queueMost {
			t.Errorf("%d segments are in the queue", len(x.queue))
		}
		x.mu.Unlock()
	}
	if err := errors.Join(x.flush(), x.close()); err != nil {
		t.Fatal(err)
	}

	full, err := badger.Open(badger.DefaultOptions(filepath.Join(dir, databaseDir)).WithReadOnly(true).WithLogger(nil))
	if err != nil {
		t.Fatal(err)
	}
	x = newIndex(&database{db: full}, 4, log)
	for n := range uint64(queueMost - 1) {
		x.add(sealedSegment(1<<32 + n))
	}
	if err := x.room(t.Context()); err != nil {
		t.Errorf("room for one more: %v", err)
	}
	x.add(sealedSegment(1 << 33))
	if err := x.room(t.Context()); !errors.Is(err, badger.ErrReadOnlyTxn) {
		t.Errorf("room behind a database that takes nothing: %v", err)
	}
	if err := x.close(); err != nil {
		t.Error(err)
	}
}
