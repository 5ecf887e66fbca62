package cas

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
)

// index knows where chunks are: those of sealed segments through the database,
// those on their way through pending. Answers come from memory where they can:
// fingerprints for unknown chunks, cached directories for known ones.
type index struct {
	db      *database
	marks   fingerprints
	pending *pending
	dirs    *directories
	// load reads a segment's directory from the volume.
	load func(context.Context, SegmentID) (*directory, error)
	// exists says whether a sealed segment is there and not being removed.
	exists func(SegmentID) bool
	log    *slog.Logger

	ctx    context.Context // of background work; close ends it
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu    sync.Mutex
	queue []*openSegment // sealed, not in the database yet; guarded by mu
	// waiting counts the chunks of the queue. Guarded by mu.
	waiting  int
	waitMost int        // what it may be before imports wait
	busy     bool       // a goroutine drains the queue; guarded by mu
	idle     *sync.Cond // on mu: not busy any more, or the queue is shorter
	err      error      // the last of the database; guarded by mu
	// leftOut says why a segment is not in the index: the first of them that is
	// damaged. Guarded by mu.
	leftOut error
}

func newIndex(db *database, cached int, log *slog.Logger) *index {
	x := &index{db: db, pending: newPending(), dirs: newDirectories(cached), waitMost: waitMost, log: log}
	x.idle = sync.NewCond(&x.mu)
	x.ctx, x.cancel = context.WithCancel(context.Background())
	return x
}

// outcome is what acquire found.
type outcome uint8

const (
	// known: the chunk is stored, and its segment is touched.
	known outcome = iota
	// claimed: the caller stores the chunk and settles the claim.
	claimed
	// inFlight: another worker is storing the chunk.
	inFlight
)

// acquire finds a chunk or gives it to the caller to store. Touch pins a segment
// for the caller, and is false when that is gone.
func (x *index) acquire(ctx context.Context, id chunkID, touch func(SegmentID) bool) (outcome, error) {
	for {
		st, ok := x.pending.get(id)
		switch {
		case ok && st == nil:
			return inFlight, nil
		case ok && touch(st.id):
			return known, nil
		case !ok:
			loc, ok, err := x.locate(ctx, id, true)
			if err != nil {
				return 0, err
			}
			if ok && touch(loc.segment) {
				return known, nil
			}
		}
		if x.pending.claim(id, st) {
			return claimed, nil
		}
	}
}

// locate finds a chunk of a sealed segment that is in the database. Warm says that
// its neighbours will be asked for next.
func (x *index) locate(ctx context.Context, id chunkID, warm bool) (location, bool, error) {
	if !x.marks.maybe(id) {
		return location{}, false, nil
	}
	if loc, ok := x.dirs.find(id); ok && x.exists(loc.segment) {
		return loc, true, nil
	}
	loc, ok, err := x.db.find(id)
	if err != nil || !ok || !x.exists(loc.segment) {
		return location{}, false, err
	}
	if !warm && !x.dirs.pays(loc.segment) {
		return loc, true, nil
	}
	// A directory that cannot be read is no reason to fail: the database has
	// the answer.
	if dir, err := x.load(ctx, loc.segment); err == nil {
		x.dirs.put(dir)
	}
	return loc, true, nil
}

// resolve finds a chunk for reading. The chunks of a durable manifest are in
// sealed segments, though maybe not in the database yet.
func (x *index) resolve(ctx context.Context, id chunkID, warm bool) (location, error) {
	loc, ok, err := x.locate(ctx, id, warm)
	if err != nil || ok {
		return loc, err
	}
	if loc, ok := x.queued(id); ok {
		return loc, nil
	}
	// The queue may have been drained between the two looks.
	if loc, ok, err = x.locate(ctx, id, warm); err != nil || ok {
		return loc, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.leftOut != nil {
		return location{}, fmt.Errorf("%w: %w", ErrUnindexed, x.leftOut)
	}
	return location{}, ErrUnindexed
}

// leaveOut notes that a segment is damaged: chunks that are not found may be in
// it.
func (x *index) leaveOut(reason error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.leftOut == nil {
		x.leftOut = reason
	}
}

// queued finds a chunk in the segments that wait for the database.
func (x *index) queued(id chunkID) (location, bool) {
	st, ok := x.pending.get(id)
	if !ok || st == nil {
		return location{}, false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, seg := range x.queue {
		if seg.state == st {
			return seg.directory.find(id)
		}
	}
	return location{}, false
}

// add gives a sealed segment to the database, in the background.
func (x *index) add(seg *openSegment) {
	seg.directory = newDirectory(seg.id, seg.entries)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.queue = append(x.queue, seg)
	x.waiting += len(seg.entries)
	x.start()
}

// start begins to drain the queue, unless somebody does. Mu is held.
func (x *index) start() {
	if !x.busy {
		x.busy = true
		x.work.Go(x.drain)
	}
}

// waitMost is how many chunks may wait for the database before imports do: those of
// 4 GiB or so, at about a hundred bytes of memory each.
const waitMost = 128 << 10

// room waits until the queue is short enough for more. A database that takes
// nothing is an error then: the queue is memory.
func (x *index) room(ctx context.Context) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.waiting >= x.waitMost {
		x.start()
	}
	for x.waiting >= x.waitMost && x.busy {
		x.idle.Wait()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if x.waiting >= x.waitMost {
		return fmt.Errorf("%d chunks wait for the index: %w", x.waiting, x.err)
	}
	return nil
}

// drain writes queued segments to the database until there are none. When the
// database refuses, a segment stays in the queue, and readers find it there.
func (x *index) drain() {
	x.mu.Lock()
	defer x.mu.Unlock()
	defer x.idle.Broadcast()
	defer func() { x.busy = false }()
	for len(x.queue) > 0 {
		seg := x.queue[0]
		x.mu.Unlock()
		err := x.insert(seg.directory)
		x.mu.Lock()
		if x.err = err; err != nil {
			x.log.Warn("the index takes no entries", "reason", err)
			return
		}
		x.queue = x.queue[1:]
		x.waiting -= len(seg.entries)
		x.idle.Broadcast()
		x.pending.forget(seg.state, seg.entries)
	}
}

// insert adds a segment to the database, the fingerprints and the cache.
func (x *index) insert(dir *directory) error {
	if err := x.db.put(dir); err != nil {
		return err
	}
	x.marks.add(dir.entries)
	x.dirs.put(dir)
	return nil
}

// flush waits until the database has everything. What it refused before it is
// given once more.
func (x *index) flush() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.queue) > 0 {
		x.start()
	}
	for x.busy {
		x.idle.Wait()
	}
	return x.err
}

// remember loads the fingerprints in the background.
func (x *index) remember() {
	x.marks.expect(x.db.keys())
	x.work.Go(func() {
		for part := range databaseParts {
			err := x.rememberPart(byte(part))
			if err == nil {
				x.marks.setComplete(part + 1)
				continue
			}
			if x.ctx.Err() == nil {
				x.log.Warn("unknown chunks will ask the index", "reason", err)
			}
			return
		}
	})
}

func (x *index) rememberPart(part byte) error {
	var ids []entry
	err := x.db.chunks(x.ctx, part, func(id chunkID) {
		if ids = append(ids, entry{id: id}); len(ids) == 1<<10 {
			x.marks.add(ids)
			ids = ids[:0]
		}
	})
	x.marks.add(ids)
	return err
}

// forget drops a segment that is being removed.
func (x *index) forget(dir *directory) error {
	x.dirs.drop(dir.id)
	return x.db.forget(dir.id, dir.entries)
}

func (x *index) close() error {
	x.cancel()
	x.work.Wait()
	return x.db.close()
}
