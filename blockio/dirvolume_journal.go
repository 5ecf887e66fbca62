package blockio

import (
	"context"
	"fmt"
)

// StartJournal makes small changes of the volume durable by a journal in its
// directory from now on: one write and one sync, where there would be two syncs or
// three. It comes before anything else is done with the volume, and Close after all
// of that. The journal takes size bytes, two halves of whole blocks, at least
// LeastJournal; 0 is a size for a busy volume.
func (v *DirVolume) StartJournal(size int64) error {
	if size == 0 {
		size = journalSize
	}
	if size < LeastJournal || size%(2*BlockSize) != 0 {
		return fmt.Errorf("start journal: a size of %d, at least %d in whole blocks", size, LeastJournal)
	}
	j, err := newJournal(v.fsys, size, &v.poison)
	if err != nil {
		return fmt.Errorf("start journal: %w", err)
	}
	v.journal = j
	return nil
}

// Close ends the volume's journal, if it has one. Nothing else may be done with the
// volume any more but to close objects.
func (v *DirVolume) Close() error {
	if v.journal == nil {
		return nil
	}
	return v.journal.close()
}

// journalRemoval makes durable that an object is gone.
func (v *DirVolume) journalRemoval(ctx context.Context, name string) error {
	return v.enter(context.WithoutCancel(ctx), journalEntry{kind: entryRemove, name: name})
}

// journalKept makes sure that the next open leaves an object as it is, which is
// durable without the journal.
func (v *DirVolume) journalKept(ctx context.Context, name string) error {
	if v.journal == nil || !v.journal.knows(name) {
		return nil
	}
	return v.enter(context.WithoutCancel(ctx), journalEntry{kind: entryKeep, name: name})
}

// enter makes an entry durable whose change can be seen already.
func (v *DirVolume) enter(ctx context.Context, e journalEntry) error {
	seen, err := v.journal.add(ctx, e)
	if err != nil {
		return v.doubtful(e.name, err)
	}
	seen()
	return nil
}

// doubtful notes that nobody knows what the next open makes of an object, after an
// error of the journal, which poisoned the volume.
func (v *DirVolume) doubtful(name string, err error) error {
	if v.poison.Load() != nil {
		v.doubts.Store(name, nil)
	}
	return err
}

// doubt is an error for an object that nobody can know of.
func (v *DirVolume) doubt(name string) error {
	cause := v.poison.Load()
	if cause == nil {
		return nil
	}
	if _, ok := v.doubts.Load(name); !ok {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrPoisoned, *cause)
}
