package cas_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
)

// putWindows puts the given windows of an image.
func putWindows(ctx context.Context, w *cas.ImageWriter, p []byte, windows ...int) error {
	for _, n := range windows {
		at := n * cas.WindowSize
		if err := w.PutWindow(ctx, int64(n), p[at:min(at+cas.WindowSize, len(p))]); err != nil {
			return err
		}
	}
	return nil
}

// beginDraft puts windows of a draft with a checkpoint after each of them, and
// gives up the session.
func beginDraft(ctx context.Context, s *cas.Store, name string, p []byte, windows ...int) error {
	ses, err := s.Begin(ctx)
	if err != nil {
		return err
	}
	defer ses.Close()
	w, err := ses.CreateDraft(name, int64(len(p)))
	if err != nil {
		return err
	}
	for _, n := range windows {
		if err := putWindows(ctx, w, p, n); err != nil {
			return err
		}
		if err := w.Checkpoint(ctx, fmt.Appendf(nil, "window %d", n)); err != nil {
			return err
		}
	}
	return nil
}

// finishDraft goes on with a draft, gives the image a record and removes the
// draft. It says which windows it had to put.
func finishDraft(ctx context.Context, s *cas.Store, name string, p []byte) (info cas.ImageInfo, put []int, err error) {
	ses, err := s.Begin(ctx)
	if err != nil {
		return info, nil, err
	}
	defer ses.Close()
	w, d, err := ses.ResumeDraft(ctx, name)
	if err != nil {
		return info, nil, err
	}
	if d.Size != int64(len(p)) {
		return info, nil, fmt.Errorf("draft of %d bytes, want %d", d.Size, len(p))
	}
	for n := range (len(p) + cas.WindowSize - 1) / cas.WindowSize {
		if !w.Has(int64(n)) {
			put = append(put, n)
		}
	}
	if err := putWindows(ctx, w, p, put...); err != nil {
		return info, put, err
	}
	if info, err = w.Commit(ctx); err != nil {
		return info, put, err
	}
	err = s.PutRecord(ctx, cas.Record{Kind: "image", ID: name, Manifests: []cas.ManifestID{info.ID}})
	if err == nil {
		err = s.RemoveDraft(ctx, name)
	}
	return info, put, err
}

// sparse is an image that has little in each of its windows, to be quick.
func sparse(windows int) []byte {
	p := make([]byte, (windows-1)*cas.WindowSize+200_000)
	for n := range windows {
		copy(p[n*cas.WindowSize:], guest(5000+50_000*(n%4), uint64(n)))
	}
	return p
}

func TestDraft(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]cas.Cut{"canonical": {}, "fixed": {Kind: cas.CutFixed, Max: 64 << 10}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			v, dir := blockiotest.NewMemVolume(), t.TempDir()
			opts := testOptions(v, dir)
			opts.Cut = cut
			s := newStore(t, opts)
			p := guest(9*cas.WindowSize+1_012_345, 5)
			clear(p[2*cas.WindowSize : 3*cas.WindowSize])
			want := mustPut(t, s, "whole", p)
			mustRemove(t, s, "whole")
			mustGC(t, s, cas.GCOptions{})

			if err := beginDraft(ctx, s, "d-1", p, 7, 1, 0, 2, 9, 4); err != nil {
				t.Fatal(err)
			}
			mustGC(t, s, cas.GCOptions{Sparse: 0.99})
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := cas.RebuildIndex(ctx, opts); err != nil {
				t.Fatal(err)
			}
			s = openStore(t, opts)
			for d, err := range s.Drafts(ctx) {
				if err != nil || d.Name != "d-1" || d.Size != int64(len(p)) || string(d.State) != "window 4" {
					t.Errorf("draft %+v, %v", d, err)
				}
			}
			sound(t, s)
			info, put, err := finishDraft(ctx, s, "d-1", p)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]int{2, 3, 5, 6, 8}, put); diff != "" { // 2 is empty
				t.Errorf("windows put again (-want +got):\n%s", diff)
			}
			want.ID = info.ID
			want.StoredBytes, info.StoredBytes = 0, 0 // as the codec pleases
			if diff := cmp.Diff(want, info); diff != "" {
				t.Errorf("resumed against imported at once (-want +got):\n%s", diff)
			}
			wantImage(t, s, info.ID, p)
			mustGC(t, s, cas.GCOptions{})
			if n := objects(t, v, "manifests"); n != 1 {
				t.Errorf("%d manifests left, want that of the image", n)
			}
			if _, err := s.Draft(ctx, "d-1"); !errors.Is(err, cas.ErrNotFound) {
				t.Errorf("removed draft: %v", err)
			}
			if err := s.RemoveDraft(ctx, "d-1"); err != nil {
				t.Errorf("remove a draft again: %v", err)
			}
			sound(t, s)
		})
	}
}

// TestDraftRemoved gives up a draft, and with it all that it held.
func TestDraftRemoved(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewMemVolume()
	s := newStore(t, testOptions(v, ""))
	if err := beginDraft(t.Context(), s, "gone", guest(12<<20, 1), 0, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveDraft(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	mustGC(t, s, cas.GCOptions{})
	if n := objects(t, v, "manifests") + objects(t, v, "segments") + objects(t, v, "records"); n != 0 {
		t.Errorf("%d objects left", n)
	}
}

// TestDraftBeside takes checkpoints while windows are put and garbage is
// collected, and loses none of them.
func TestDraftBeside(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	v := blockiotest.NewMemVolume()
	s := newStore(t, testOptions(v, ""))
	ses, err := s.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer ses.Close()
	p := sparse(40)
	w, err := ses.CreateDraft("beside", int64(len(p)))
	if err != nil {
		t.Fatal(err)
	}
	var workers, others sync.WaitGroup
	stop := make(chan struct{})
	beside := func(f func() error) {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := f(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	beside(func() error { return w.Checkpoint(ctx, nil) })
	beside(func() error {
		_, err := s.GC(ctx, cas.GCOptions{Sparse: 0.99})
		return err
	})
	for i := range 3 {
		workers.Go(func() {
			for n := i; n < 40; n += 3 {
				if err := putWindows(ctx, w, p, n); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	close(stop)
	others.Wait()
	if err := w.Checkpoint(ctx, nil); err != nil {
		t.Fatal(err)
	}
	d, err := s.Draft(ctx, "beside")
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Manifests) > 7 {
		t.Errorf("%d manifests of 40 windows, want about log 40", len(d.Manifests))
	}
	info, err := w.Commit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	wantImage(t, s, info.ID, p)
}

func TestDraftErrors(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	v := blockiotest.NewMemVolume()
	opts := testOptions(v, "")
	s := newStore(t, opts)
	p := guest(3*cas.WindowSize, 4)
	if err := beginDraft(ctx, s, "lost", p, 0, 1); err != nil {
		t.Fatal(err)
	}
	ses, err := s.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ses.ResumeDraft(ctx, "none"); !errors.Is(err, cas.ErrNotFound) {
		t.Errorf("resume a draft that is not there: %v", err)
	}
	if _, err := ses.CreateDraft("No Name", 1); err == nil {
		t.Error("a draft got a name that no record can have")
	}
	if err := s.PutRecord(ctx, cas.Record{Kind: "draft", ID: "mine"}); err == nil {
		t.Error("a draft's record was put from outside")
	}
	plain, err := ses.CreateImage(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := plain.Checkpoint(ctx, nil); err == nil {
		t.Error("checkpoint of an image that is no draft")
	}
	if _, err := plain.Commit(ctx); err == nil {
		t.Error("an image was committed after a failed checkpoint")
	}
	if err := errors.Join(ses.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	// A segment is lost: the draft is not gone on with.
	for e, err := range v.List(ctx, "segments") {
		if err == nil {
			err = v.Remove(ctx, e.Name)
		}
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	s = openStore(t, opts)
	if _, _, err := finishDraft(ctx, s, "lost", p); !errors.Is(err, cas.ErrUnindexed) {
		t.Errorf("resume a draft with lost chunks: %v", err)
	}
}

// TestDraftCrash crashes an import with checkpoints before every call that may
// make something durable, and goes on with what is left.
func TestDraftCrash(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := sparse(4)
	run := func(every int, drop func(blockiotest.Op) bool) (points int, problems []string) {
		v := blockiotest.NewMemVolume()
		opts := crashOptions(v, "")
		s := newStore(t, opts)
		v.DropSyncs(drop)
		var mu sync.Mutex
		acked := 0 // windows of acknowledged checkpoints
		look := func(op blockiotest.Op) {
			if op.Kind&(blockiotest.OpSync|blockiotest.OpSyncDir|blockiotest.OpRename|blockiotest.OpRemove) == 0 {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for crash, clone := range v.CrashClones() {
				if points++; points%every != 0 {
					continue
				}
				if err := resumeCrashed(ctx, crashOptions(clone, ""), p, acked); err != nil {
					problems = append(problems, fmt.Sprintf("%d windows, before %v, %v: %v", acked, op, crash, err))
				}
			}
		}
		v.OnChange(look)
		ses, err := s.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer ses.Close()
		w, err := ses.CreateDraft("crash", int64(len(p)))
		if err != nil {
			t.Fatal(err)
		}
		for n := range 3 {
			if err := errors.Join(putWindows(ctx, w, p, n), w.Checkpoint(ctx, nil)); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			acked = n + 1
			mu.Unlock()
			if n == 1 {
				mustGC(t, s, cas.GCOptions{Sparse: 0.95})
			}
		}
		if err := putWindows(ctx, w, p, 3); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		v.OnChange(nil)
		return points, problems
	}
	points, problems := run(23, func(blockiotest.Op) bool { return false })
	for _, p := range problems {
		t.Error(p)
	}
	if points < 200 {
		t.Errorf("only %d crashes", points)
	}
	for _, kind := range []string{"segments", "manifests", "records"} {
		if _, problems := run(37, func(op blockiotest.Op) bool { return op.Name == kind }); len(problems) == 0 {
			t.Errorf("nobody noticed that names of %s were not synced", kind)
		}
	}
}

// resumeCrashed opens what a crash left and completes the draft, which must hold
// the first acked windows.
func resumeCrashed(ctx context.Context, opts cas.Options, p []byte, acked int) (err error) {
	s, err := cas.Open(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if _, err := s.GC(ctx, cas.GCOptions{Sparse: 0.95}); err != nil {
		return err
	}
	info, put, err := finishDraft(ctx, s, "crash", p)
	if acked == 0 && errors.Is(err, cas.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(put, func(n int) bool { return n < acked }) {
		return fmt.Errorf("windows %v are not in the draft", put)
	}
	got, err := get(ctx, s, info.ID)
	if err == nil && !slices.Equal(got, p) {
		err = errors.New("other bytes")
	}
	if r, cerr := s.Check(ctx); cerr != nil || r.Found > 0 {
		err = errors.Join(err, cerr, errors.Join(r.Problems...))
	}
	return err
}

// TestDraftDirectory keeps a draft in a directory over a process that ends.
func TestDraftDirectory(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	v, err := blockio.NewDirVolume(filepath.Join(dir, "volume"), blockio.DirVolumeOptions{})
	if errors.Is(err, os.ErrNotExist) {
		if err = os.Mkdir(filepath.Join(dir, "volume"), 0o700); err == nil {
			v, err = blockio.NewDirVolume(filepath.Join(dir, "volume"), blockio.DirVolumeOptions{})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	opts := testOptions(v, filepath.Join(dir, "index"))
	p := guest(5*cas.WindowSize, 6)
	s := newStore(t, opts)
	if err := errors.Join(beginDraft(ctx, s, "d", p, 0, 1, 2), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, opts)
	info, put, err := finishDraft(ctx, s, "d", p)
	if err != nil || len(put) != 2 {
		t.Fatalf("put %v, %v", put, err)
	}
	wantImage(t, s, info.ID, p)
}
