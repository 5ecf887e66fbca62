package convert_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
)

// stumblingImage counts what is read of an image and fails after a number of
// bytes.
type stumblingImage struct {
	*memImage
	read, limit atomic.Int64
}

var errStumbled = errors.New("stumbled")

func (s *stumblingImage) ReadAt(p []byte, off int64) (int, error) {
	if s.read.Add(int64(len(p))) > s.limit.Load() {
		return 0, errStumbled
	}
	return s.memImage.ReadAt(p, off)
}

// dataImage has a block of data in each of its windows, zeros in some of them.
func dataImage(windows int64) *stumblingImage {
	pieces := map[int64]byte{}
	for n := range windows {
		pieces[n*convert.WindowSize] = byte(n % 5)
	}
	return &stumblingImage{memImage: newImage(windows*convert.WindowSize, pieces)}
}

type draftStore struct {
	*testing.T
	store  *cas.Store
	volume *blockiotest.MemVolume
}

func newDraftStore(t *testing.T) *draftStore {
	v := blockiotest.NewMemVolume()
	opts := cas.Options{Volume: v, Arena: blockio.NewArena(32 << 20), SegmentSize: 4 << 20, BufferSize: 256 << 10, Buffers: 8, ReadBuffers: 2}
	if err := cas.Init(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	s, err := cas.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &draftStore{t, s, v}
}

// run imports in a session of its own, and compares what came of it.
func (d *draftStore) run(img *stumblingImage, source string, most int64) (read int64, err error) {
	d.Helper()
	img.read.Store(0)
	img.limit.Store(most)
	ses, err := d.store.Begin(d.Context())
	if err != nil {
		d.Fatal(err)
	}
	defer ses.Close()
	var done, total int64
	info, err := convert.ImportDraft(d.Context(), ses, img,
		convert.DraftOptions{Name: "draft", Source: source, Every: 2 * memBlock},
		convert.Options{Workers: 3, Arena: blockio.NewArena(32 << 20), Progress: func(n, of int64) { done, total = n, of }})
	if err != nil {
		return img.read.Load(), err
	}
	if done != total {
		d.Errorf("progress ended at %d of %d", done, total)
	}
	got, err := d.store.OpenImage(d.Context(), info.ID)
	if err != nil {
		d.Fatal(err)
	}
	defer got.Close()
	p := make([]byte, got.Size())
	if _, err := got.ReadAt(p, 0); err != nil {
		d.Fatal(err)
	}
	if !bytes.Equal(p, img.bytes()) {
		d.Error("other bytes")
	}
	return img.read.Load(), nil
}

// kept is how many of the first windows the draft has: those that the next run does
// not read.
func (d *draftStore) kept(windows int64) (n int64) {
	d.Helper()
	ses, err := d.store.Begin(d.Context())
	if err != nil {
		d.Fatal(err)
	}
	defer ses.Close()
	w, draft, err := ses.ResumeDraft(d.Context(), "draft")
	if errors.Is(err, cas.ErrNotFound) {
		return 0
	}
	if err != nil {
		d.Fatal(err)
	}
	var state struct{ Next int64 }
	if err := json.Unmarshal(draft.State, &state); err != nil {
		d.Fatal(err)
	}
	for index := range windows {
		if index < state.Next || w.Has(index) {
			n++
		}
	}
	return n
}

const unlimited = 1 << 50

func TestImportDraft(t *testing.T) {
	t.Parallel()
	d := newDraftStore(t)
	img := dataImage(50)
	all := int64(50 * memBlock)
	// Each run goes on a little further, as far as checkpoints come about.
	for runs := int64(1); d.kept(50) < 20; runs++ {
		if runs > 50 {
			t.Fatal("checkpoints keep nothing")
		}
		if _, err := d.run(img, "pin", min(16*memBlock*runs, all-d.kept(50)*memBlock-1)); !errors.Is(err, errStumbled) {
			t.Fatalf("import: %v", err)
		}
	}
	kept := d.kept(50)
	if read, err := d.run(img, "pin", unlimited); err != nil || read != all-kept*memBlock {
		t.Errorf("read %d bytes of %d, %d are to do: %v", read, all, all-kept*memBlock, err)
	}
	// What is complete is not read again until the draft is removed.
	if read, err := d.run(img, "pin", unlimited); err != nil || read > 12*memBlock {
		t.Errorf("again: read %d bytes, %v", read, err)
	}
	if err := d.store.RemoveDraft(t.Context(), "draft"); err != nil {
		t.Fatal(err)
	}
	if read, err := d.run(img, "pin", unlimited); err != nil || read != all {
		t.Errorf("without a draft: read %d bytes of %d, %v", read, all, err)
	}
}

// TestImportDraftLost begins anew when too little is left of what a draft has.
func TestImportDraftLost(t *testing.T) {
	t.Parallel()
	for _, lost := range []error{cas.ErrCorrupt, blockio.ErrLost} {
		d := newDraftStore(t)
		img := dataImage(20)
		if _, err := d.run(img, "pin", 15*memBlock); !errors.Is(err, errStumbled) {
			t.Fatalf("import: %v", err)
		}
		d.volume.Inject(blockiotest.Fault{
			Ops: blockiotest.OpOpen, N: 1, Err: lost,
			Match: func(op blockiotest.Op) bool { return strings.HasPrefix(op.Name, "manifests/") },
		})
		if read, err := d.run(img, "pin", unlimited); err != nil || read != 20*memBlock {
			t.Errorf("%v: read %d bytes, %v", lost, read, err)
		}
	}
}

// TestImportDraftOfAnother begins anew when the source is another, or nothing
// says that it is not.
func TestImportDraftOfAnother(t *testing.T) {
	t.Parallel()
	for name, pins := range map[string][2]string{"another": {"a", "b"}, "unknown": {"", ""}, "now unknown": {"a", ""}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDraftStore(t)
			img := dataImage(20)
			if _, err := d.run(img, pins[0], 19*memBlock); !errors.Is(err, errStumbled) {
				t.Fatalf("import: %v", err)
			}
			changed := dataImage(20)
			changed.memImage = newImage(img.Size(), map[int64]byte{0: 77, 19 * convert.WindowSize: 78})
			if _, err := d.run(changed, pins[1], unlimited); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestImportDraftCancelled is cancelled in the middle and leaves a draft that can
// be gone on with.
func TestImportDraftCancelled(t *testing.T) {
	t.Parallel()
	d := newDraftStore(t)
	img := dataImage(30)
	img.limit.Store(unlimited)
	ctx, cancel := context.WithCancel(t.Context())
	ses, err := d.store.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = convert.ImportDraft(ctx, ses, img, convert.DraftOptions{Name: "draft", Source: "pin", Every: 1},
		convert.Options{Workers: 2, Progress: func(done, _ int64) {
			for done > 15*memBlock && ctx.Err() == nil {
				if kept, err := d.store.Draft(ctx, "draft"); err == nil && len(kept.Manifests) > 0 {
					cancel()
				}
				runtime.Gosched()
			}
		}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled import: %v", err)
	}
	if err := ses.Close(); err != nil {
		t.Fatal(err)
	}
	if read, err := d.run(img, "pin", unlimited); err != nil || read >= 30*memBlock {
		t.Errorf("read %d bytes again, %v", read, err)
	}
}
