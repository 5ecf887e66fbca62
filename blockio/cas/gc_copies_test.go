package cas_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
)

// sealHook calls once before the next segment is committed.
type sealHook struct {
	blockio.Volume
	mu   sync.Mutex
	once func()
}

func (v *sealHook) Create(ctx context.Context, name string) (blockio.Writer, error) {
	w, err := v.Volume.Create(ctx, name)
	if err != nil || !strings.HasPrefix(name, "segments/") {
		return w, err
	}
	return sealWriter{w, v}, nil
}

type sealWriter struct {
	blockio.Writer
	volume *sealHook
}

func (w sealWriter) Commit(ctx context.Context, size int64) error {
	w.volume.mu.Lock()
	call := w.volume.once
	w.volume.once = nil
	w.volume.mu.Unlock()
	if call != nil {
		call()
	}
	return w.Writer.Commit(ctx, size)
}

// TestGCOfCopies has chunks in two segments, since a session touched the old one
// while they were moved out of it. The index knows the new places, and the memory
// of directories the old ones: what the index knows must stay.
func TestGCOfCopies(t *testing.T) {
	v := &sealHook{Volume: blockiotest.NewMemVolume()}
	opts := testOptions(v, filepath.Join(t.TempDir(), "index"))
	s, err := cas.Open(t.Context(), initialised(t, opts))
	if err != nil {
		t.Fatal(err)
	}
	kept, other := prose(1<<20, 1), prose(1<<20, 2)
	both := begin(t, s)
	a, b := image(t, both, kept), image(t, both, other)
	commitAs(t, s, a, "kept")
	commitAs(t, s, b, "other")
	if err := both.Close(); err != nil {
		t.Fatal(err)
	}
	mustRemove(t, s, "other")

	late := begin(t, s)
	var again *cas.ImageWriter
	v.once = func() { again = image(t, late, other) }
	if st := mustGC(t, s, cas.GCOptions{Recompress: true}); st.MovedChunks == 0 || st.Segments != 0 || again == nil {
		t.Fatalf("the collection was to move chunks and to leave their segment: %+v", st)
	}
	commitAs(t, s, again, "other")
	if err := late.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = openStore(t, opts)
	sound(t, s)
	mustGC(t, s, cas.GCOptions{Sparse: -1})
	sound(t, s)
	// The copies that stay are of no use any more, and no harm.
	mustRemove(t, s, "kept")
	if st := mustGC(t, s, cas.GCOptions{Sparse: -1}); st.Segments != 1 {
		t.Errorf("the segment of the copies was to go: %+v", st)
	}
	sound(t, s)
	mustPut(t, s, "kept", kept)
	sound(t, s)
}

func initialised(t *testing.T, opts cas.Options) cas.Options {
	t.Helper()
	if err := cas.Init(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	return opts
}

func begin(t *testing.T, s *cas.Store) *cas.Session {
	t.Helper()
	ses, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ses
}

// image begins an image of one window.
func image(t *testing.T, ses *cas.Session, p []byte) *cas.ImageWriter {
	t.Helper()
	w, err := ses.CreateImage(int64(len(p)))
	if err == nil {
		err = w.PutWindow(context.Background(), 0, p)
	}
	if err != nil {
		t.Error(err)
	}
	return w
}

func commitAs(t *testing.T, s *cas.Store, w *cas.ImageWriter, name string) {
	t.Helper()
	info, err := w.Commit(t.Context())
	if err == nil {
		err = s.PutRecord(t.Context(), cas.Record{Kind: "image", ID: name, Manifests: []cas.ManifestID{info.ID}})
	}
	if err != nil {
		t.Fatal(err)
	}
}
