package cas

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// CreateDraft starts an image of size bytes as CreateImage does, one that
// Checkpoint can keep as the draft of a name: 1 to 64 lower-case letters, digits
// and "-". A draft that has the name is replaced by the first checkpoint.
func (ses *Session) CreateDraft(name string, size int64) (*ImageWriter, error) {
	if err := checkRecordName(name); err != nil {
		return nil, fmt.Errorf("create draft: %w", err)
	}
	w, err := ses.CreateImage(size)
	if err != nil {
		return nil, err
	}
	w.draft = name
	return w, nil
}

// ResumeDraft goes on with a draft from its last checkpoint: ErrNotFound without
// one, ErrUnindexed when the store has lost chunks of it. In a store whose cut
// is not the canonical one it reads what the draft holds. Like Begin it may wait
// for the arena.
func (ses *Session) ResumeDraft(ctx context.Context, name string) (*ImageWriter, Draft, error) {
	w, d, err := ses.resume(ctx, name)
	if err != nil {
		return nil, Draft{}, fmt.Errorf("resume draft %s: %w", name, err)
	}
	return w, d, nil
}

func (ses *Session) resume(ctx context.Context, name string) (*ImageWriter, Draft, error) {
	d, err := ses.adopt(ctx, name)
	if err != nil {
		return nil, d, err
	}
	partials := make([]*partial, 0, len(d.Manifests))
	for _, id := range d.Manifests {
		p, err := ses.store.loadPartial(ctx, id, d.Size)
		if err != nil {
			return nil, d, err
		}
		partials = append(partials, p)
	}
	w, err := ses.newImageWriter(d.Size)
	if err != nil {
		return nil, d, err
	}
	w.draft, w.partials = name, partials
	w.newChunks.Store(d.written.newChunks)
	w.newBytes.Store(d.written.newBytes)
	w.storedBytes.Store(d.written.storedBytes)
	return w, d, nil
}

// adopt reads a draft and makes its manifests the session's, at one moment for
// garbage collection: whatever becomes of the record, they stay.
func (ses *Session) adopt(ctx context.Context, name string) (Draft, error) {
	s := ses.store
	s.roots.RLock()
	defer s.roots.RUnlock()
	d, err := s.Draft(ctx, name)
	if err != nil {
		return d, unwrapRead(err)
	}
	for _, id := range d.Manifests {
		ses.keep(id)
	}
	return d, nil
}

// unwrapRead drops "read draft", for a caller that names the draft too.
func unwrapRead(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// Has says whether an earlier checkpoint holds data of a window. Such a window
// is not put again.
func (w *ImageWriter) Has(index int64) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return slices.ContainsFunc(w.partials, func(p *partial) bool { return p.has(index) })
}

// Checkpoint makes the draft hold every window whose PutWindow has returned, and
// the caller's state, at most 64 KiB: ResumeDraft goes on from there, after a
// crash too. It may run beside PutWindow, whose windows are then in or not. After
// an error the image cannot be committed; the checkpoint before is still there.
func (w *ImageWriter) Checkpoint(ctx context.Context, state []byte) error {
	err := w.checkpoint(ctx, state)
	if err != nil {
		w.spoil(err)
		return fmt.Errorf("checkpoint of draft %s: %w", w.draft, err)
	}
	return nil
}

func (w *ImageWriter) checkpoint(ctx context.Context, state []byte) error {
	switch {
	case w.draft == "":
		return errors.New("the image is no draft")
	case len(state) > maxDraftState:
		return fmt.Errorf("state of %d bytes, at most %d", len(state), maxDraftState)
	}
	w.saving.Lock()
	defer w.saving.Unlock()
	if w.done.Load() {
		return ErrClosed
	}
	counts := writeCounts{w.newChunks.Load(), w.newBytes.Load(), w.storedBytes.Load()}
	absorbed, err := w.savePartial(ctx)
	if err != nil {
		return err
	}
	d := Draft{Name: w.draft, Size: w.size, State: state, written: counts}
	for _, p := range w.partials {
		d.Manifests = append(d.Manifests, p.id)
	}
	if err := w.session.store.putRecord(ctx, d.record()); err != nil {
		return err
	}
	w.session.letGo(absorbed...)
	return nil
}

// savePartial commits what was put since the last checkpoint, and returns the
// manifests whose windows it took over. Saving is held.
func (w *ImageWriter) savePartial(ctx context.Context) (absorbed []ManifestID, err error) {
	m, err := w.cutManifest()
	if m == nil || err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.abort()) }()
	w.session.keep(m.head.id)
	if err := w.session.settle(ctx); err != nil {
		return nil, err
	}
	rest := w.partials
	// As with the digits of a counter: an image of n checkpoints has about
	// log n partials, and a window moves as often.
	for len(rest) > 0 && rest[len(rest)-1].windows.len() < 2*m.len() {
		last := rest[len(rest)-1]
		if err := m.absorb(ctx, last); err != nil {
			return nil, err
		}
		absorbed, rest = append(absorbed, last.id), rest[:len(rest)-1]
	}
	if _, err := m.commit(ctx); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.partials = append(rest[:len(rest):len(rest)], &partial{id: m.head.id, windows: m.windows})
	return absorbed, nil
}

// cutManifest gives the parts so far to the caller, and later ones to a new
// manifest; nil when there are none.
func (w *ImageWriter) cutManifest() (*manifestWriter, error) {
	next, err := newManifestWriter(w.session.store, w.size)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.manifest
	if w.err != nil || m.len() == 0 {
		return nil, errors.Join(w.err, next.abort())
	}
	w.manifest = next
	return m, nil
}
