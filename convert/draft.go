package convert

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
)

// DraftOptions say how ImportDraft keeps its work. Name is required; the zero
// value of the rest works.
type DraftOptions struct {
	// Name is that of the draft in the store, in the form of a record's id.
	Name string
	// Source identifies the bytes of the image and the format that they are
	// read in, and holds no secrets. A draft of another source, or of none, is
	// not gone on with.
	Source string
	// Every is how many bytes are read between two checkpoints; 0 is a 128th of
	// the virtual size, at least 16 MiB and at most 64 MiB.
	Every int64
	// Saved, when set, is called after each checkpoint.
	Saved func()
}

func (o DraftOptions) withDefaults(size int64) DraftOptions {
	o.Every = cmp.Or(o.Every, min(max(16<<20, size/128), 64<<20))
	return o
}

// draftInterval is the longest time between two checkpoints, as long as windows
// complete.
const draftInterval = 30 * time.Second

// ImportDraft does what Import does and keeps a draft in the store, from which a
// later call goes on when this one was cut short: with nothing to repeat but what
// came after the last checkpoint. A draft of another source is replaced. The
// draft outlives the call in any case: the caller removes it
// (cas.Store.RemoveDraft) once a record lists the image, or the image is not
// wanted any more.
func ImportDraft(ctx context.Context, s *cas.Session, img Image, draft DraftOptions, opts Options) (cas.ImageInfo, error) {
	opts = opts.withDefaults()
	d, err := openDraft(ctx, s, img, draft.withDefaults(img.Size()))
	if err != nil {
		return cas.ImageInfo{}, err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.saveAll(gctx) })
	g.Go(func() error {
		defer close(d.due)
		return each(gctx, img, opts, d.skip, d.put)
	})
	if err := g.Wait(); err != nil {
		return cas.ImageInfo{}, err
	}
	return d.dst.Commit(ctx)
}

// draftImport is one call of ImportDraft.
type draftImport struct {
	opts DraftOptions
	dst  *cas.ImageWriter
	// from is the window before which an earlier call did everything.
	from int64
	// due has a token when a checkpoint is due. Each closes it at the end.
	due chan struct{}

	mu      sync.Mutex
	next    int64              // after the last window that was begun; guarded by mu
	flying  map[int64]struct{} // begun, not done; guarded by mu
	bytes   int64              // read since the last checkpoint; guarded by mu
	savedAt time.Time          // of the last checkpoint; guarded by mu
}

// draftState is what a draft keeps beside the windows, as JSON.
type draftState struct {
	// Source is that of DraftOptions.
	Source string `json:"source"`
	// Next is the window before which all are done, those of zeros included.
	Next int64 `json:"next"`
}

// openDraft goes on with the draft of the name if it is of this image, and else
// begins one.
func openDraft(ctx context.Context, s *cas.Session, img Image, opts DraftOptions) (*draftImport, error) {
	d := &draftImport{opts: opts, due: make(chan struct{}, 1), flying: make(map[int64]struct{}), savedAt: time.Now()}
	w, kept, err := s.ResumeDraft(ctx, opts.Name)
	switch {
	case errors.Is(err, cas.ErrNotFound), errors.Is(err, cas.ErrUnindexed), errors.Is(err, cas.ErrCorrupt), errors.Is(err, blockio.ErrLost):
	case err != nil:
		return nil, err
	default:
		var st draftState
		if json.Unmarshal(kept.State, &st) == nil && opts.Source != "" && st.Source == opts.Source && kept.Size == img.Size() {
			d.dst, d.from = w, st.Next
			return d, nil
		}
	}
	d.dst, err = s.CreateDraft(opts.Name, img.Size())
	return d, err
}

// skip notes that a window begins, unless it is done.
func (d *draftImport) skip(w *window) bool {
	done := w.index < d.from || d.dst.Has(w.index)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next = w.index + 1
	if !done {
		d.flying[w.index] = struct{}{}
	}
	return done
}

func (d *draftImport) put(ctx context.Context, w *window, p []byte) error {
	if err := d.dst.PutWindow(ctx, w.index, p); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.flying, w.index)
	d.bytes += w.data()
	if d.bytes >= d.opts.Every || time.Since(d.savedAt) >= draftInterval {
		select {
		case d.due <- struct{}{}:
		default: // one is due already
		}
	}
	return nil
}

// saveAll takes checkpoints as they become due, until due is closed.
func (d *draftImport) saveAll(ctx context.Context) error {
	for range d.due {
		if err := d.save(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *draftImport) save(ctx context.Context) error {
	d.mu.Lock()
	st := draftState{Source: d.opts.Source, Next: d.next}
	for index := range d.flying {
		st.Next = min(st.Next, index)
	}
	d.bytes, d.savedAt = 0, time.Now()
	d.mu.Unlock()
	state, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("encode the state of draft %s: %w", d.opts.Name, err)
	}
	if err := d.dst.Checkpoint(ctx, state); err != nil {
		return err
	}
	if d.opts.Saved != nil {
		d.opts.Saved()
	}
	return nil
}
