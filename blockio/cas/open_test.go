package cas_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
)

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewMemVolume()
	opts := testOptions(v, filepath.Join(t.TempDir(), "index"))
	if _, err := cas.Open(t.Context(), opts); !errors.Is(err, cas.ErrNoStore) {
		t.Errorf("open of nothing: %v", err)
	}
	s := newStore(t, opts)
	if err := cas.Init(t.Context(), opts); !errors.Is(err, cas.ErrStoreExists) {
		t.Errorf("second init: %v", err)
	}
	if _, err := cas.Open(t.Context(), opts); !errors.Is(err, cas.ErrLocked) {
		t.Errorf("second open: %v", err)
	}
	if err := cas.RebuildIndex(t.Context(), opts); !errors.Is(err, cas.ErrLocked) {
		t.Errorf("rebuild of an open store: %v", err)
	}
	if _, err := s.OpenImage(t.Context(), cas.ManifestID{1}); !errors.Is(err, cas.ErrNotFound) {
		t.Errorf("open of no image: %v", err)
	}
	if err := s.RemoveRecord(t.Context(), "image", "none"); !errors.Is(err, cas.ErrNotFound) {
		t.Errorf("remove of no record: %v", err)
	}
	err := s.PutRecord(t.Context(), cas.Record{Kind: "image", ID: "x", Manifests: []cas.ManifestID{{1}}})
	if !errors.Is(err, cas.ErrNotFound) {
		t.Errorf("record of no manifest: %v", err)
	}
	for _, id := range []string{"", "A", "a.b", "a/b", "ä"} {
		if err := s.PutRecord(t.Context(), cas.Record{Kind: "image", ID: id}); err == nil {
			t.Errorf("record %q was taken", id)
		}
	}
}

// A store that is closed begins nothing more, and takes nothing more of the arena.
func TestClosedStore(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(s *cas.Store) error{
		"unused": func(*cas.Store) error { return nil },
		"used": func(s *cas.Store) error {
			ses, err := s.Begin(t.Context())
			if err != nil {
				return err
			}
			return ses.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := testOptions(blockiotest.NewMemVolume(), "")
			s := newStore(t, opts)
			if err := errors.Join(use(s), s.Close()); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Begin(t.Context()); !errors.Is(err, cas.ErrClosed) {
				t.Errorf("begin: %v", err)
			}
			if _, err := s.OpenImage(t.Context(), cas.ManifestID{1}); !errors.Is(err, cas.ErrClosed) {
				t.Errorf("open image: %v", err)
			}
			if n := opts.Arena.InUse(); n != 0 {
				t.Errorf("%d bytes of the arena are in use", n)
			}
		})
	}
}

// TestIndexLost loses the index in several ways. All images come back, removed
// ones do not, and known content is found again.
func TestIndexLost(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(t *testing.T, dir string) error{
		"removed": func(_ *testing.T, dir string) error { return os.RemoveAll(dir) },
		"emptied": func(_ *testing.T, dir string) error { return os.RemoveAll(filepath.Join(dir, "badger")) },
		"manifest damaged": func(_ *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, "badger", "MANIFEST"), []byte("what is this"), 0o600)
		},
		"tables gone": func(t *testing.T, dir string) error {
			paths, err := filepath.Glob(filepath.Join(dir, "badger", "*.sst"))
			if len(paths) == 0 {
				t.Fatal("the index has no tables")
			}
			for _, path := range paths {
				err = errors.Join(err, os.Remove(path))
			}
			return err
		},
		"of another store": func(t *testing.T, dir string) error {
			other := filepath.Join(t.TempDir(), "index")
			s := newStore(t, testOptions(blockiotest.NewMemVolume(), other))
			mustPut(t, s, "other", guest(1<<20, 70))
			return errors.Join(s.Close(), os.RemoveAll(dir), os.Rename(other, dir))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "index")
			opts := testOptions(blockiotest.NewMemVolume(), dir)
			s := newStore(t, opts)
			a, b := guest(5<<20, 71), guest(5<<20, 72)
			info := mustPut(t, s, "a", a)
			mustPut(t, s, "b", b)
			mustRemove(t, s, "b")
			if err := errors.Join(s.Close(), lose(t, dir)); err != nil {
				t.Fatal(err)
			}
			s = openStore(t, opts)
			wantImage(t, s, info.ID, a)
			if _, err := s.Record(t.Context(), "image", "b"); !errors.Is(err, cas.ErrNotFound) {
				t.Errorf("removed image: %v", err)
			}
			sound(t, s)
			if again := mustPut(t, s, "again", a); again.NewChunks != 0 {
				t.Errorf("%d chunks were new", again.NewChunks)
			}
			if err := errors.Join(s.Close(), cas.RebuildIndex(t.Context(), opts)); err != nil {
				t.Fatal(err)
			}
			s = openStore(t, opts)
			sound(t, s)
		})
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewMemVolume()
	opts := testOptions(v, "")
	s := newStore(t, opts)
	for _, payload := range []string{"one", "two", "three"} {
		if err := s.PutRecord(t.Context(), cas.Record{Kind: "note", ID: "a", Payload: []byte(payload)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := objects(t, v, "records"); n != 1 {
		t.Errorf("%d versions are left", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, opts)
	if r, err := s.Record(t.Context(), "note", "a"); err != nil || string(r.Payload) != "three" {
		t.Errorf("record %q, %v", r.Payload, err)
	}
}

// lateVolume takes a moment for each write.
type lateVolume struct{ blockio.Volume }

func (v lateVolume) Create(ctx context.Context, name string) (blockio.Writer, error) {
	w, err := v.Volume.Create(ctx, name)
	return lateWriter{w}, err
}

type lateWriter struct{ blockio.Writer }

func (w lateWriter) WriteAt(p []byte, off int64) (int, error) {
	time.Sleep(time.Millisecond)
	return w.Writer.WriteAt(p, off)
}

// TestConcurrentSessions imports the same content from many sessions at once:
// each chunk is stored once, and every image is whole.
func TestConcurrentSessions(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]struct{ buffers, computing int }{"": {8, 0}, "in turns, with few buffers": {4, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := testOptions(lateVolume{blockiotest.NewMemVolume()}, filepath.Join(t.TempDir(), "index"))
			o.Buffers, o.Computing = opts.buffers, opts.computing
			concurrentSessions(t, o)
		})
	}
}

func concurrentSessions(t *testing.T, opts cas.Options) {
	t.Helper()
	s := newStore(t, opts)
	p := guest(8<<20, 8)
	var wg sync.WaitGroup
	infos := make([]cas.ImageInfo, 4)
	for i := range infos {
		wg.Go(func() {
			var err error
			if infos[i], err = put(t.Context(), s, string(rune('a'+i)), p); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var stored int64
	for _, info := range infos {
		stored += info.NewBytes
		wantImage(t, s, info.ID, p)
	}
	if st, err := s.Stat(t.Context()); err != nil || st.UniqueBytes != stored || st.Chunks > infos[0].Chunks {
		t.Errorf("%d bytes were stored, %+v, %v", stored, st, err)
	}
	sound(t, s)
}

// TestSessionClosed drops an image half way, and another that uses its chunks.
func TestSessionClosed(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewMemVolume()
	s := newStore(t, testOptions(v, ""))
	p := guest(cas.WindowSize, 10)
	ses, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w, err := ses.CreateImage(2 * cas.WindowSize)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.PutWindow(t.Context(), 0, p); err != nil {
		t.Fatal(err)
	}
	if err := ses.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(t.Context()); err == nil {
		t.Error("commit in a closed session")
	}
	info := mustPut(t, s, "a", p) // finds the chunks that nobody committed
	wantImage(t, s, info.ID, p)
	if n := objects(t, v, "manifests"); n != 1 {
		t.Errorf("%d manifests", n)
	}
	if !bytes.Equal(p, guest(cas.WindowSize, 10)) {
		t.Error("PutWindow changed the guest bytes")
	}
}
