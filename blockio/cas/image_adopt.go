package cas

import (
	"context"
	"fmt"
)

// PutWindowOf makes a window of the image that of another image, byte for byte,
// and reads none of it. It says false, and has done nothing, when the bytes must
// be put instead: when the store does not cut canonically, the windows differ in
// length, or a chunk is not where the index says.
func (w *ImageWriter) PutWindowOf(ctx context.Context, img *Image, index int64) (bool, error) {
	if w.done.Load() {
		return false, fmt.Errorf("put window %d: image: %w", index, ErrClosed)
	}
	n := windowLen(w.size, index)
	if n == 0 {
		return false, fmt.Errorf("put window %d: image of %d bytes: %w", index, w.size, errWindow)
	}
	if w.session.store != img.store || img.manifest.head.cut != CanonicalCut() || windowLen(img.Size(), index) != n {
		return false, nil
	}
	ok, err := w.adopt(ctx, img, index)
	if err != nil {
		w.spoil(err)
		return false, fmt.Errorf("put window %d of image %v: %w", index, img.manifest.head.id, err)
	}
	return ok, nil
}

func (w *ImageWriter) adopt(ctx context.Context, img *Image, index int64) (bool, error) {
	if err := w.session.check(); err != nil {
		return false, err
	}
	i, err := img.manifest.search(index)
	if err != nil || i == img.manifest.foot.windows {
		return err == nil, err
	}
	page, err := img.manifest.page(i / pagePlaces)
	if err != nil {
		return false, err
	}
	at := page[i%pagePlaces]
	if int64(at.window) != index {
		return true, nil // zeros
	}
	chunks, err := img.manifest.part(at)
	if err != nil {
		return false, err
	}
	for _, c := range chunks {
		if ok, err := w.touchChunk(ctx, c.id); err != nil || !ok {
			return false, err
		}
	}
	s := w.session.store
	k := s.workers.Get().(*worker)
	defer s.workers.Put(k)
	digest := k.digest(index, chunks)
	w.mu.RLock()
	defer w.mu.RUnlock()
	return true, w.manifest.put(ctx, index, chunks, digest)
}

// touchChunk makes the session a user of a chunk that the store has; false when
// it has it not.
func (w *ImageWriter) touchChunk(ctx context.Context, id chunkID) (bool, error) {
	x := w.session.store.index
	for {
		got, err := x.acquire(ctx, id, w.session.touch)
		if err != nil {
			return false, err
		}
		switch got {
		case known:
			return true, nil
		case claimed:
			x.pending.settle(id, nil)
			return false, nil
		case inFlight:
			if err := x.pending.wait(ctx, id); err != nil {
				return false, err
			}
		}
	}
}
