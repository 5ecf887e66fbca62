package blockio

import (
	"context"
	"errors"
	"fmt"
)

// write takes bytes into memory while the object is small, and else writes them.
func (w *dirWriter) write(p []byte, off int64) (int, error) {
	staged, err := w.stage(p, off)
	if err != nil {
		return 0, err
	}
	if staged {
		return len(p), nil
	}
	file, err := w.unstage()
	if err != nil {
		return 0, err
	}
	return file.WriteAt(p, off)
}

func (w *dirWriter) stage(p []byte, off int64) (bool, error) {
	w.fileMu.Lock()
	defer w.fileMu.Unlock()
	if w.ended {
		return false, errFinished
	}
	end := off + int64(len(p))
	if !w.staged || end > smallObject {
		return false, nil
	}
	if n := int64(len(w.bytes)); n < end {
		w.bytes = append(w.bytes, make([]byte, end-n)...)
	}
	copy(w.bytes[off:], p)
	return true, nil
}

// end lets no more bytes in.
func (w *dirWriter) end() {
	w.fileMu.Lock()
	defer w.fileMu.Unlock()
	w.ended = true
}

// unstage is the file, which gets what was in memory when it is made.
func (w *dirWriter) unstage() (File, error) {
	w.fileMu.RLock()
	staged, file := w.staged, w.file
	w.fileMu.RUnlock()
	if !staged {
		return file, nil
	}
	w.fileMu.Lock()
	defer w.fileMu.Unlock()
	if !w.staged {
		return w.file, nil
	}
	file, err := w.volume.fsys.CreateFile(w.tmp)
	if err != nil {
		return nil, err
	}
	w.file, w.staged = file, false
	if len(w.bytes) > 0 {
		_, err = file.WriteAt(w.bytes, 0)
	}
	w.bytes = nil
	return file, err
}

// small are the object's bytes, when they are in memory.
func (w *dirWriter) small() ([]byte, bool) {
	w.fileMu.RLock()
	defer w.fileMu.RUnlock()
	return w.bytes, w.staged
}

// commitSmall commits an object through the journal, whose entry is what makes it
// durable. The caller holds the name.
func (w *dirWriter) commitSmall(ctx context.Context, p []byte) error {
	v := w.volume
	if !w.replace {
		if err := v.vacant(w.name); err != nil {
			return err
		}
	}
	if err := v.ensureKind(w.kind); err != nil {
		return err
	}
	if err := v.fsys.WriteFile(w.tmp, p); err != nil {
		return err
	}
	seen, err := v.journal.add(ctx, journalEntry{entryPut, w.name, p})
	if err != nil {
		return v.doubtful(w.name, err)
	}
	rename := v.fsys.Rename
	if w.replace {
		rename = v.fsys.Replace
	}
	err = rename(w.tmp, w.name)
	seen() // and the other half of the journal may wait for that
	switch {
	case err == nil:
		return nil
	case w.replace:
		// Which of the two the next open finds is open.
		return v.doubtful(w.name, v.journal.fail(fmt.Errorf("rename: %w", err)))
	}
	return errors.Join(fmt.Errorf("rename: %w", err), v.journalRemoval(ctx, w.name))
}
