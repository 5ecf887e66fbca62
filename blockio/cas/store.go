package cas

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/blockmill/blockmill/blockio"
	"golang.org/x/sync/errgroup"
)

// cachedDirectories is how many segments' directories the index keeps in
// memory, a few hundred KiB each.
const cachedDirectories = 32

// partsMemory bounds the parts of manifests that are kept in memory, in bytes:
// those of about 16 GiB of data.
const partsMemory = 16 << 20

// Store is one open store.
type Store struct {
	opts     Options
	header   header
	lock     *blockio.DirLock // of the index directory, nil without one
	ids      *idSource
	coders   *coders
	segments *segmentTable
	index    *index
	objects  *openObjects
	records  *recordTable
	counters counters
	turns    turns
	workers  sync.Pool // of *worker
	scratch  sync.Pool // of *[]byte, for chunks that are wanted in part and not cached

	parts      *memo[partKey, []chunk] // of open images
	chunks     *chunkCache
	imageReads sync.Pool // of *imageRead

	// roots is held for reading by whatever makes or drops a root of garbage
	// collection, and for writing while that gathers the roots.
	roots sync.RWMutex
	// collecting has a token of the garbage collection that runs.
	collecting chan struct{}

	mu       sync.Mutex
	closed   bool                    // guarded by mu
	sessions map[*Session]struct{}   // guarded by mu
	images   map[ManifestID]int      // open ones; guarded by mu
	doomed   map[ManifestID]struct{} // being removed; guarded by mu

	buffersMu sync.Mutex
	appender  *appender    // made for the first session; guarded by buffersMu
	reads     *readBuffers // made for the first image; guarded by buffersMu
}

// Init makes a store in an empty volume; ErrStoreExists when it holds one.
func Init(ctx context.Context, opts Options) error {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return fmt.Errorf("init store: %w", err)
	}
	ids := &idSource{r: opts.Random}
	id, err := ids.next()
	if err != nil {
		return fmt.Errorf("init store: %w", err)
	}
	h := header{id: id, cut: opts.Cut, creator: opts.Creator}
	err = blockio.WriteObject(ctx, opts.Volume, headerName, h.encode())
	if errors.Is(err, blockio.ErrExists) {
		err = ErrStoreExists
	}
	if err != nil {
		return fmt.Errorf("init store: %w", err)
	}
	return nil
}

// Open opens a store, and makes its index again as far as that is missing:
// ErrNoStore, ErrLocked, ErrNewerVersion.
func Open(ctx context.Context, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	lock, err := lockIndex(opts.IndexDir)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s, err := openLocked(ctx, opts, lock)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), unlock(lock))
	}
	return s, nil
}

// lockIndex makes and locks the directory of the index, if there is one.
func lockIndex(dir string) (*blockio.DirLock, error) {
	if dir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make index directory: %w", err)
	}
	return blockio.LockDir(dir)
}

func unlock(l *blockio.DirLock) error {
	if l == nil {
		return nil
	}
	return l.Unlock()
}

func openLocked(ctx context.Context, opts Options, lock *blockio.DirLock) (*Store, error) {
	h, err := readHeader(ctx, opts.Volume)
	if err != nil {
		return nil, err
	}
	// A record fits in a buffer, with room to align it.
	opts.BufferSize = max(opts.BufferSize, int(alignUp(2*int64(h.cut.Max), objectAlign)))
	s := &Store{
		opts: opts, header: h, lock: lock,
		ids:      &idSource{r: opts.Random},
		coders:   newCoders(),
		segments: newSegmentTable(),
		objects:  newOpenObjects(opts.Volume, opts.OpenSegments),
		turns:    newTurns(opts.Computing),
		workers:  sync.Pool{New: func() any { return new(worker) }},
		scratch:  sync.Pool{New: func() any { return new([]byte) }},

		parts:      newMemo[partKey](partsMemory, func(p []chunk) int { return 64 + len(p)*chunkEntrySize }),
		imageReads: sync.Pool{New: func() any { return new(imageRead) }},

		sessions: make(map[*Session]struct{}),
		images:   make(map[ManifestID]int),
		doomed:   make(map[ManifestID]struct{}),

		collecting: make(chan struct{}, 1),
	}
	if s.records, err = loadRecords(ctx, opts.Volume, h.id); err != nil {
		return nil, err
	}
	if err := s.listSegments(ctx); err != nil {
		return nil, err
	}
	db, err := openDatabase(opts.IndexDir, opts.IndexMemory, h.id, opts.Logger)
	if err != nil {
		return nil, err
	}
	s.index = newIndex(db, cachedDirectories, opts.Logger)
	s.index.load, s.index.exists = s.loadDirectory, s.segments.exists
	if err := s.catchUp(ctx); err != nil {
		return nil, errors.Join(err, s.index.close(), s.objects.close())
	}
	s.chunks = newChunkCache(opts.Arena, opts.CacheMemory)
	s.index.remember()
	return s, nil
}

// ID names the store.
func (s *Store) ID() StoreID { return s.header.id }

func (s *Store) listSegments(ctx context.Context) error {
	for e, err := range s.opts.Volume.List(ctx, segmentKind) {
		if err != nil {
			return fmt.Errorf("list segments: %w", err)
		}
		id, err := parseObjectID(segmentKind, e.Name)
		if err != nil {
			s.opts.Logger.Warn("left alone what is no segment", "object", e.Name)
			continue
		}
		s.segments.addSealed(id, e.Size)
	}
	return nil
}

// catchUp makes the index know exactly the segments that the volume has.
func (s *Store) catchUp(ctx context.Context) error {
	known, err := s.index.db.segments()
	if err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for _, st := range s.segments.list() {
		if known[st.id] {
			delete(known, st.id)
			continue
		}
		g.Go(func() error { return s.indexSegment(ctx, st) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for id := range known {
		if err := s.index.db.forget(id, nil); err != nil {
			return err
		}
	}
	return nil
}

// indexSegment gives a segment's chunks to the index. One that is damaged is
// left out, so that the rest of the store can be used; Check finds it.
func (s *Store) indexSegment(ctx context.Context, st *segmentState) error {
	dir, err := s.loadDirectory(ctx, st.id)
	if damaged(err) {
		s.opts.Logger.Error("a segment was left out of the index", "segment", st.id, "reason", err)
		s.index.leaveOut(err)
		return nil
	}
	if err != nil {
		return err
	}
	return s.index.insert(dir)
}

// alive is ErrClosed once Close has begun to end the store.
func (s *Store) alive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("store: %w", ErrClosed)
	}
	return nil
}

// writable makes sure that the store has its write buffers, which Close gives back.
func (s *Store) writable(ctx context.Context) (*appender, error) {
	s.buffersMu.Lock()
	defer s.buffersMu.Unlock()
	if err := s.alive(); err != nil {
		return nil, err
	}
	if s.appender == nil {
		a, err := newAppender(ctx, s)
		if err != nil {
			return nil, err
		}
		s.appender = a
	}
	return s.appender, nil
}

// readable makes sure that the store has its read buffers, which Close gives back.
func (s *Store) readable(ctx context.Context) (*readBuffers, error) {
	s.buffersMu.Lock()
	defer s.buffersMu.Unlock()
	if err := s.alive(); err != nil {
		return nil, err
	}
	if s.reads == nil {
		r, err := newReadBuffers(ctx, s.opts)
		if err != nil {
			return nil, err
		}
		s.reads = r
	}
	return s.reads, nil
}

// segmentSealed is the appender's word that a segment is durable.
func (s *Store) segmentSealed(seg *openSegment) {
	s.segments.sealed(seg.state, seg.size)
	s.index.add(seg)
}

// segmentFailed is the appender's word that a segment was dropped.
func (s *Store) segmentFailed(seg *openSegment) {
	s.index.pending.forget(seg.state, seg.entries)
}

// Close ends the store. Sessions and images must have been closed.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	if n, m := len(s.sessions), len(s.images); n+m > 0 {
		s.mu.Unlock()
		return fmt.Errorf("close store: %d sessions and %d images are open", n, m)
	}
	s.closed = true
	s.mu.Unlock()

	s.buffersMu.Lock()
	defer s.buffersMu.Unlock()
	if s.appender != nil {
		s.appender.close()
	}
	if s.reads != nil {
		s.reads.close()
	}
	s.chunks.close()
	err := errors.Join(s.index.close(), s.objects.close(), unlock(s.lock))
	if err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}
