package cas

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
)

// TestCheckIndex changes what the database has of one chunk. Check tells when it is
// not what the segment's directory has, unless it is in another segment or nowhere.
func TestCheckIndex(t *testing.T) {
	t.Parallel()
	s := storeOfChunks(t)
	for _, change := range []struct {
		name string
		make func(loc location) []byte
		told string
	}{
		{"nothing", appendLocation, ""},
		{"codec", func(loc location) []byte { loc.codec = Zstd; return appendLocation(loc) }, "the index has"},
		{"offset", func(loc location) []byte { loc.off++; return appendLocation(loc) }, "the index has"},
		{"segment", func(loc location) []byte { loc.segment[0]++; return appendLocation(loc) }, ""},
		{"ordinal", func(loc location) []byte { loc.ordinal = 1 << 31; return appendLocation(loc) }, ""},
		{"raw", func(loc location) []byte { loc.raw = 0; return appendLocation(loc) }, "makes no sense"},
		{"length", func(loc location) []byte { return appendLocation(loc)[1:] }, "location of 32 bytes"},
		{"gone", nil, ""},
	} {
		dir, err := s.loadDirectory(t.Context(), s.segments.list()[0].id)
		if err != nil {
			t.Fatal(err)
		}
		e := dir.entries[1]
		write := func(p []byte) {
			err := s.index.db.db.Update(func(tx *badger.Txn) error { return tx.Set(keyOf(e.id), p) })
			if err != nil {
				t.Fatal(err)
			}
		}
		if loc := (location{dir.id, 1, e}); change.make != nil {
			write(change.make(loc))
		} else if err := s.index.db.db.Update(func(tx *badger.Txn) error { return tx.Delete(keyOf(e.id)) }); err != nil {
			t.Fatal(err)
		}
		var r CheckReport
		if err := s.checkSegments(t.Context(), &r); err != nil {
			t.Fatal(err)
		}
		if r.Segments != 1 || r.Chunks != int64(len(dir.entries)) {
			t.Errorf("%s: %d segments and %d chunks were checked", change.name, r.Segments, r.Chunks)
		}
		if change.told == "" && r.Found != 0 {
			t.Errorf("%s: %v", change.name, r.Problems)
		}
		if change.told != "" && (r.Found != 1 || !strings.Contains(r.Problems[0].Error(), change.told)) {
			t.Errorf("%s: %d problems %v, want one with %q", change.name, r.Found, r.Problems, change.told)
		}
	}
}

// storeOfChunks opens a store with one segment of some chunks.
func storeOfChunks(t *testing.T) *Store {
	t.Helper()
	opts := Options{Volume: blockiotest.NewMemVolume(), IndexDir: t.TempDir(), Arena: blockio.NewArena(32 << 20)}
	if err := Init(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	session, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	guest := make([]byte, 1<<20)
	r := rand.New(rand.NewPCG(9, 10))
	for i := range guest {
		guest[i] = byte(r.Uint32())
	}
	w, err := session.CreateImage(int64(len(guest)))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.PutWindow(t.Context(), 0, guest); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.index.flush(); err != nil {
		t.Fatal(err)
	}
	return s
}
