package cas

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/blockmill/blockmill/blockio"
)

// ImageInfo says what a committed image is and what it cost. All sizes are in
// bytes.
type ImageInfo struct {
	ID     ManifestID
	Digest Digest
	// Size is the virtual size.
	Size int64
	// Chunks are all chunks of the image, DataBytes what they hold.
	Chunks, DataBytes int64
	// NewChunks are those that the store had not, NewBytes what they hold,
	// StoredBytes what they take.
	NewChunks, NewBytes, StoredBytes int64
}

// ImageWriter takes the guest bytes of one image. PutWindow may be called
// concurrently, also beside Checkpoint; Commit waits for none of those calls:
// they must have returned.
type ImageWriter struct {
	session *Session
	size    int64
	draft   string // where checkpoints go; empty for none
	done    atomic.Bool

	newChunks, newBytes, storedBytes atomic.Int64

	// saving is held by the one Checkpoint at a time, and taken before mu.
	saving sync.Mutex
	// mu is held for reading while a part is put, so that Checkpoint gets
	// whole manifests.
	mu       sync.RWMutex
	manifest *manifestWriter // takes parts; guarded by mu
	err      error           // spoils the image; guarded by mu
	// partials hold the windows of earlier checkpoints. They change with both
	// locks held.
	partials []*partial
}

// CreateImage starts an image of size bytes, all zeros so far.
func (ses *Session) CreateImage(size int64) (*ImageWriter, error) {
	if err := checkSize(size); err != nil {
		return nil, fmt.Errorf("create image: %w", err)
	}
	w, err := ses.newImageWriter(size)
	if err != nil {
		return nil, fmt.Errorf("create image: %w", err)
	}
	return w, nil
}

// newImageWriter makes a writer that ends with the session.
func (ses *Session) newImageWriter(size int64) (*ImageWriter, error) {
	m, err := newManifestWriter(ses.store, size)
	if err != nil {
		return nil, err
	}
	w := &ImageWriter{session: ses, size: size, manifest: m}
	ses.mu.Lock()
	defer ses.mu.Unlock()
	if ses.closed {
		return nil, errors.Join(fmt.Errorf("session: %w", ErrClosed), m.abort())
	}
	ses.writers[w] = struct{}{}
	return w, nil
}

// spoil makes the image impossible to commit.
func (w *ImageWriter) spoil(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

func (w *ImageWriter) failure() error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.err
}

// abort drops what no checkpoint keeps.
func (w *ImageWriter) abort() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = cmp.Or(w.err, ErrClosed)
	return w.manifest.abort()
}

// worker is the memory of one PutWindow.
type worker struct {
	windowScratch
	canonical windowScratch
	encoded   []byte
	later     []int // chunks that other workers are storing
}

// PutWindow stores the guest bytes of window index: WindowSize bytes, or those
// up to the image's end. Windows that are never put are zeros. P is the caller's
// again when PutWindow returns. After an error the image cannot be committed.
func (w *ImageWriter) PutWindow(ctx context.Context, index int64, p []byte) error {
	if w.done.Load() {
		return fmt.Errorf("put window %d: image: %w", index, ErrClosed)
	}
	err := checkWindow(w.size, index, len(p))
	if err == nil {
		err = w.session.check()
	}
	if err == nil {
		err = w.session.store.index.room(ctx)
	}
	if err == nil {
		s := w.session.store
		s.appender.putting.Add(1)
		err = s.turns.do(ctx, func(ctx context.Context) error { return w.putWindow(ctx, index, p) })
		s.appender.putting.Add(-1)
	}
	if err != nil {
		w.spoil(err)
		return fmt.Errorf("put window %d: %w", index, err)
	}
	w.session.store.counters.put.Add(int64(len(p)))
	return nil
}

func (w *ImageWriter) putWindow(ctx context.Context, index int64, p []byte) error {
	s := w.session.store
	k := s.workers.Get().(*worker)
	defer s.workers.Put(k)
	chunks := k.chunksOf(s.header.cut, p)
	if len(chunks) == 0 {
		return nil
	}
	if err := w.storeChunks(ctx, k, chunks, p); err != nil {
		return err
	}
	canonical := chunks
	if s.header.cut != CanonicalCut() {
		canonical = k.canonical.chunksOf(CanonicalCut(), p)
	}
	digest := k.digest(index, canonical)
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.manifest.put(ctx, index, chunks, digest)
}

// storeChunks sees to it that the store has all chunks of a window. It stores
// what it claimed before it waits for what others claimed, so that no two
// workers wait for each other.
func (w *ImageWriter) storeChunks(ctx context.Context, k *worker, chunks []chunk, p []byte) error {
	k.later = k.later[:0]
	for i := range chunks {
		k.later = append(k.later, i)
	}
	for len(k.later) > 0 {
		if err := w.storeRound(ctx, k, chunks, p); err != nil {
			return err
		}
		for _, i := range k.later {
			if err := w.session.store.index.pending.wait(ctx, chunks[i].id); err != nil {
				return err
			}
		}
	}
	return nil
}

// storeRound goes through the chunks of k.later and leaves there those that
// other workers are storing.
func (w *ImageWriter) storeRound(ctx context.Context, k *worker, chunks []chunk, p []byte) error {
	s := w.session.store
	var h *hold
	defer func() {
		if h != nil {
			h.release()
		}
	}()
	todo := k.later
	k.later = k.later[:0]
	for _, i := range todo {
		blockio.Yield()
		c := chunks[i]
		got, err := s.index.acquire(ctx, c.id, w.session.touch)
		if err != nil {
			return err
		}
		switch got {
		case known:
			s.counters.known(int(c.len))
		case inFlight:
			k.later = append(k.later, i)
		case claimed:
			if h == nil {
				if h, err = s.appender.hold(ctx); err != nil {
					s.index.pending.settle(c.id, nil)
					return err
				}
			}
			if err := w.storeChunk(ctx, h, k, c, p[c.off:c.off+c.len]); err != nil {
				return err
			}
		}
	}
	return nil
}

// storeChunk appends a claimed chunk and settles the claim.
func (w *ImageWriter) storeChunk(ctx context.Context, h *hold, k *worker, c chunk, raw []byte) error {
	s := w.session.store
	if n := maxEncoded(len(raw)); len(k.encoded) < n {
		k.encoded = make([]byte, n)
	}
	st, n, err := h.encode(ctx, c.id, raw, s.opts.Codec, k.encoded)
	if err == nil && !w.session.touch(st.id) {
		err = s.segments.check(st)
	}
	if err != nil {
		s.index.pending.settle(c.id, nil)
		return err
	}
	s.index.pending.settle(c.id, st)
	s.counters.added(len(raw), n)
	w.newChunks.Add(1)
	w.newBytes.Add(int64(len(raw)))
	w.storedBytes.Add(int64(n))
	return nil
}

// Commit makes the image durable: first the segments that its chunks are in,
// then its manifest. It stays until the session closes, and after that as long
// as a record lists it.
func (w *ImageWriter) Commit(ctx context.Context) (ImageInfo, error) {
	if w.done.Swap(true) {
		return ImageInfo{}, fmt.Errorf("commit image: %w", ErrClosed)
	}
	w.saving.Lock() // a checkpoint that another call waits for comes to its end
	defer w.saving.Unlock()
	m, ses := w.manifest, w.session
	ses.mu.Lock()
	delete(ses.writers, w)
	ses.mu.Unlock()
	ses.keep(m.head.id)
	foot, err := w.commit(ctx)
	if err != nil {
		return ImageInfo{}, errors.Join(fmt.Errorf("commit image: %w", err), m.abort())
	}
	ses.store.counters.images.Add(1)
	return ImageInfo{
		ID: m.head.id, Digest: foot.digest, Size: w.size, Chunks: foot.chunks, DataBytes: foot.data,
		NewChunks: w.newChunks.Load(), NewBytes: w.newBytes.Load(), StoredBytes: w.storedBytes.Load(),
	}, nil
}

func (w *ImageWriter) commit(ctx context.Context) (manifestFoot, error) {
	if err := w.failure(); err != nil {
		return manifestFoot{}, err
	}
	if err := w.session.settle(ctx); err != nil {
		return manifestFoot{}, err
	}
	for _, p := range w.partials {
		if err := w.manifest.absorb(ctx, p); err != nil {
			return manifestFoot{}, err
		}
	}
	return w.manifest.commit(ctx)
}
