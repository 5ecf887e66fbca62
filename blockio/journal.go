package blockio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"
	"sync/atomic"
)

// journalName is the journal's file in a volume's root.
const journalName = "journal"

// journal makes changes of small objects durable by one write and one sync,
// which concurrent changes share: what a file and its directory would have to be
// synced for is in an entry, and the next open makes it of that. Of its two halves
// one takes entries; when it is full, the file system is synced, which its entries
// are then not needed for any more, while the other half is used.
type journal struct {
	// Immutable.
	fsys   FileSystem
	file   Log
	half   int64                  // the length of each half
	poison *atomic.Pointer[error] // the volume's, which ends the journal

	sync SharedSync // of file
	work sync.WaitGroup

	mu       sync.Mutex
	sequence uint64         // of the latest entry
	halves   [2]halfJournal // guarded by mu
	now      int            // the half that takes entries; guarded by mu
	live     map[string]int // how many entries an object has; guarded by mu
	freed    chan struct{}  // closed, and made anew, when a half is free or none will be; guarded by mu
}

// halfJournal is one half.
type halfJournal struct {
	start      int64
	used       int64
	generation uint64
	busy       bool // full, and not free yet
	names      []string
	// unseen counts the entries whose change the directory does not show yet.
	unseen sync.WaitGroup
}

// newJournal makes an empty journal, where there is none. When an entry cannot be
// made durable nobody knows what the next open finds: the journal poisons the volume.
func newJournal(fsys FileSystem, size int64, poison *atomic.Pointer[error]) (*journal, error) {
	tmp := path.Join(tmpKind, journalName)
	file, err := fsys.CreateLog(tmp, size)
	if err != nil {
		return nil, err
	}
	j := &journal{fsys: fsys, file: file, half: size / 2, poison: poison, live: map[string]int{}, freed: make(chan struct{})}
	j.halves[0].generation, j.halves[1].start = 1, j.half
	if err = file.Sync(); err == nil {
		if err = fsys.Rename(tmp, journalName); err == nil {
			err = fsys.SyncDir(".")
		}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return j, nil
}

// add makes an entry durable. The caller makes the directory show the change, and
// then calls seen.
func (j *journal) add(ctx context.Context, e journalEntry) (seen func(), err error) {
	h, err := j.write(ctx, e)
	if err != nil {
		return nil, err
	}
	if err := j.sync.Do(j.file.Sync); err != nil {
		h.unseen.Done()
		return nil, j.fail(fmt.Errorf("sync journal: %w", err))
	}
	return h.unseen.Done, nil
}

// write writes an entry, in the order of the sequence numbers.
func (j *journal) write(ctx context.Context, e journalEntry) (*halfJournal, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := int64(entrySize(e.name, e.data))
	for j.poison.Load() == nil && j.halves[j.now].used+n > j.half && !j.turn() {
		freed := j.freed
		j.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
		}
		j.mu.Lock()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	if cause := j.poison.Load(); cause != nil {
		return nil, fmt.Errorf("%w: %w", ErrPoisoned, *cause)
	}
	h := &j.halves[j.now]
	p := e.encode(entryPlace{h.generation, j.sequence + 1})
	if _, err := j.file.WriteAt(p, h.start+h.used); err != nil {
		return nil, j.fail(fmt.Errorf("write journal: %w", err))
	}
	j.sequence++
	h.used += n
	h.names = append(h.names, e.name)
	h.unseen.Add(1)
	j.live[e.name]++
	return h, nil
}

// turn goes on in the other half, unless that is not free yet. The caller holds mu.
func (j *journal) turn() bool {
	full, next := &j.halves[j.now], &j.halves[1-j.now]
	if next.busy {
		return false
	}
	full.busy = true
	j.now = 1 - j.now
	next.used, next.generation = 0, j.sequence+1
	j.work.Go(func() { j.settle(full) })
	return true
}

// settle makes a half free whose entries are all in the directory.
func (j *journal) settle(h *halfJournal) {
	h.unseen.Wait()
	err := j.file.SyncAll()
	if err == nil && j.poison.Load() == nil {
		// Before an object is changed in another way, its entries must be gone.
		if _, err = j.file.WriteAt(make([]byte, BlockSize), h.start); err == nil {
			err = j.sync.Do(j.file.Sync)
		}
	}
	if err != nil {
		_ = j.fail(fmt.Errorf("settle journal: %w", err))
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	defer j.wake()
	if j.poison.Load() != nil {
		return // a sync that succeeds after one that failed proves nothing
	}
	for _, name := range h.names {
		if j.live[name]--; j.live[name] == 0 {
			delete(j.live, name)
		}
	}
	h.names, h.busy = h.names[:0], false
}

// wake lets those look again who wait for room. The caller holds mu.
func (j *journal) wake() {
	close(j.freed)
	j.freed = make(chan struct{})
}

// knows says whether the next open would change an object.
func (j *journal) knows(name string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.live[name] > 0
}

// fail poisons the volume.
func (j *journal) fail(err error) error {
	j.poison.CompareAndSwap(nil, &err)
	return err
}

// close ends the journal, which nobody uses any more: with all in its place there
// is no file left, else the next open reads it.
func (j *journal) close() error {
	j.work.Wait()
	var err error
	if cause := j.poison.Load(); cause != nil {
		err = fmt.Errorf("%w: %w", ErrPoisoned, *cause)
	} else if len(j.live) > 0 {
		err = j.file.SyncAll()
	}
	if err = errors.Join(err, j.file.Close()); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return dropJournal(j.fsys)
}

// dropJournal removes the journal, if there is one.
func dropJournal(fsys FileSystem) error {
	err := fsys.RemoveFile(journalName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = fsys.SyncDir(".")
	}
	if err != nil {
		return fmt.Errorf("remove journal: %w", err)
	}
	return nil
}
