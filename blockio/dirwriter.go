package blockio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
)

// dirWriter writes one object of a DirVolume.
type dirWriter struct {
	// Immutable.
	volume          *DirVolume
	kind, name, tmp string
	replace         bool // a committed object of the name

	writes Writes

	fileMu sync.RWMutex
	file   File   // nil as long as there is none; guarded by fileMu
	staged bool   // the bytes are in memory; guarded by fileMu
	bytes  []byte // that are; guarded by fileMu
	ended  bool   // takes no bytes any more; guarded by fileMu

	mu     sync.Mutex
	done   bool // committed or aborted
	closed bool // the file
}

var errFinished = errors.New("the writer is finished")

// Unit implements Writer: the grid of direct writes. Large objects are best
// written in pieces of 4 MiB.
func (w *dirWriter) Unit() int { return BlockSize }

// Reserve implements Reserver. Writes to allocated space, below the file's end,
// go on side by side; those that allocate, or that move the end, wait for one
// another.
func (w *dirWriter) Reserve(size int64) {
	if size <= smallObject {
		return
	}
	file, err := w.unstage()
	if err != nil {
		return // the writes meet the same
	}
	if f, ok := file.(interface{ Allocate(off, n int64) error }); ok {
		_ = f.Allocate(0, size) // what cannot be had now is asked for by the writes
	}
}

// WriteAt implements Writer.
func (w *dirWriter) WriteAt(p []byte, off int64) (int, error) {
	n, err := 0, w.writes.Accept(off, len(p), BlockSize)
	if err == nil {
		n, err = w.write(p, off)
	}
	if err != nil {
		w.writes.Break()
		return n, fmt.Errorf("write %s at %d: %w", w.name, off, err)
	}
	w.writes.Done(n)
	return n, nil
}

// Commit implements Writer.
func (w *dirWriter) Commit(ctx context.Context, size int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return fmt.Errorf("commit %s: %w", w.name, errFinished)
	}
	if err := w.commit(ctx, size); err != nil {
		w.writes.Break()
		err = fmt.Errorf("commit %s: %w", w.name, err)
		if dropErr := w.drop(); dropErr != nil {
			return errors.Join(err, dropErr)
		}
		return fmt.Errorf("%w (what was written is dropped)", err)
	}
	w.done = true
	w.end()
	return nil
}

func (w *dirWriter) commit(ctx context.Context, size int64) error {
	if err := w.writes.Complete(size); err != nil {
		return err
	}
	if w.volume.journal != nil {
		defer w.volume.changes.lock(w.name)()
	}
	if _, err := w.volume.beginChange(ctx, w.name); err != nil {
		return err
	}
	if p, small := w.small(); small {
		return w.commitSmall(ctx, p)
	}
	if err := w.file.Truncate(size); err != nil {
		return err
	}
	if err := w.file.Sync(); err != nil {
		return err
	}
	w.closed = true
	if err := w.file.Close(); err != nil {
		return err
	}
	if err := w.volume.ensureKind(w.kind); err != nil {
		return err
	}
	rename := w.volume.fsys.Rename
	if w.replace {
		rename = w.volume.fsys.Replace
	}
	if err := rename(w.tmp, w.name); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return ErrExists
		}
		return fmt.Errorf("rename: %w", err)
	}
	if err := w.volume.syncDir(w.kind); err != nil {
		if !w.replace {
			// Best effort: the volume is poisoned, and the caller is told.
			_ = w.volume.fsys.Rename(w.name, w.tmp)
		}
		return err
	}
	return w.volume.journalKept(ctx, w.name)
}

// Abort implements Writer.
func (w *dirWriter) Abort() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return nil
	}
	if err := w.drop(); err != nil {
		return fmt.Errorf("abort %s: %w", w.name, err)
	}
	return nil
}

// drop removes the temporary file. The caller holds mu.
func (w *dirWriter) drop() error {
	w.done = true
	w.end()
	var err error
	if !w.closed && w.file != nil {
		err = w.file.Close()
	}
	w.closed = true
	removeErr := w.volume.fsys.RemoveFile(w.tmp)
	if errors.Is(removeErr, fs.ErrNotExist) {
		removeErr = nil // renamed already, by a commit that failed after that, or never made
	}
	return errors.Join(err, removeErr)
}
