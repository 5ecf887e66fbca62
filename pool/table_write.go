package pool

import (
	"context"
	"errors"
	"fmt"

	"github.com/blockmill/blockmill/blockio/cas"
)

// commit writes the record of a thing that was reserved: with that it is
// READY. After an error there is no record, and the reservation is as it was.
func (t *table[I, T, R]) commit(ctx context.Context, v T) (T, error) {
	v, _, err := t.commitCarried(ctx, v, nil, nil)
	return v, err
}

// commitCarried is commit that first calls carry, unless that is nil. When that says
// that the record is durable elsewhere, writing it is deferred: flush does that, and
// whatever changes the thing before. Written is called then.
func (t *table[I, T, R]) commitCarried(
	ctx context.Context, v T, carry func(record []byte) (bool, error), written func(T),
) (_ T, carried bool, err error) {
	m := R(&v).meta()
	r, err := t.lock(m.ID)
	if err != nil {
		return v, false, err
	}
	defer r.writing.Unlock()
	m.Status = Ready
	rec, err := encodeRecord[I, T, R](t.kind, &v)
	if err == nil && carry != nil {
		carried, err = carry(rec.Payload)
	}
	if err != nil {
		return v, false, err
	}
	if !carried {
		if err := t.store.PutRecord(ctx, rec); err != nil {
			// It may be there in spite of the error.
			undo := t.store.RemoveRecord(context.WithoutCancel(ctx), t.kind, string(m.ID))
			if errors.Is(undo, cas.ErrNotFound) {
				undo = nil
			}
			return v, false, errors.Join(err, undo)
		}
	}
	m.Submission = nil
	t.replace(r, &v)
	if carried {
		r.deferred = &deferredRecord[T]{rec, written}
	}
	return v, carried, nil
}

// deferredRecord is one that is durable, and not in the store.
type deferredRecord[T any] struct {
	record  cas.Record
	written func(T)
}

// flush writes the record of a thing that was deferred, if it was.
func (t *table[I, T, R]) flush(id I) error {
	r, err := t.lock(id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil {
		r.writing.Unlock()
	}
	return err
}

// writeDeferred writes the deferred record of a row, which the caller has locked. Nobody
// waits for it who could call it off.
func (t *table[I, T, R]) writeDeferred(r *row[T]) error {
	if r.deferred == nil {
		return nil
	}
	if err := t.store.PutRecord(context.Background(), r.deferred.record); err != nil {
		return err
	}
	written := r.deferred.written
	r.deferred = nil
	written(*t.value(r))
	return nil
}

// adopt lists a thing whose record is durable and not in the store, which is deferred.
// Should another have its name by now, it has none.
func (t *table[I, T, R]) adopt(v *T, written func(T)) error {
	m := R(v).meta()
	if _, err := t.named(m.Folder, m.Name); err == nil {
		m.Name = ""
	}
	rec, err := encodeRecord[I, T, R](t.kind, v)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f, err := t.enter(v)
	if err == nil {
		f.insert(v)
		t.rows[m.ID].deferred = &deferredRecord[T]{rec, written}
	}
	return err
}

// change gives a thing new properties; edit makes them, of a copy. The name is
// checked, the id and folder stay.
func (t *table[I, T, R]) change(ctx context.Context, id I, edit func(*T) error) (T, error) {
	r, err := t.lock(id)
	if err != nil {
		return *new(T), err
	}
	defer r.writing.Unlock()
	old := t.value(r)
	v := *old
	if m := R(&v).meta(); m.Status != Ready {
		return v, fmt.Errorf("%s %s is %v: %w", t.kind, id, m.Status, ErrNotReady)
	}
	if err := edit(&v); err != nil {
		return v, err
	}
	from, to := R(old).meta(), R(&v).meta()
	if err := t.rename(from.Folder, id, from.Name, to.Name); err != nil {
		return v, err
	}
	if err := t.write(ctx, &v); err != nil {
		v = t.reread(ctx, old)
		err = fmt.Errorf("change %s %s: %w", t.kind, id, err)
		t.conclude(r, &v, from.Name, to.Name)
		return v, err
	}
	t.conclude(r, &v, from.Name, to.Name)
	return v, nil
}

// check says what change would say against an edit, but for the writing.
func (t *table[I, T, R]) check(id I, edit func(*T) error) error {
	v, err := t.get(id)
	if err != nil {
		return err
	}
	m := R(&v).meta()
	if m.Status != Ready {
		return fmt.Errorf("%s %s is %v: %w", t.kind, id, m.Status, ErrNotReady)
	}
	from := m.Name
	if err := edit(&v); err != nil || m.Name == from {
		return err
	}
	if err := CheckName(m.Name); err != nil {
		return err
	}
	if other, err := t.named(m.Folder, m.Name); err == nil && R(&other).meta().ID != id {
		return fmt.Errorf("%s %s: %w", t.kind, m.Name, ErrNameTaken)
	}
	return nil
}

// reread gives a thing as its record has it, after a write that failed: old,
// unless the record says other.
func (t *table[I, T, R]) reread(ctx context.Context, old *T) T {
	rec, err := t.store.Record(context.WithoutCancel(ctx), t.kind, string(R(old).meta().ID))
	if err != nil {
		return *old
	}
	v, err := decodeRecord[I, T, R](rec, t.home)
	if err != nil {
		return *old
	}
	return *v
}

// rename takes the new name of a thing, beside its old one.
func (t *table[I, T, R]) rename(in FolderID, id I, from, to string) error {
	if from == to {
		return nil
	}
	if err := CheckName(to); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.folder(in)
	if _, taken := f.names[to]; taken && to != "" {
		return fmt.Errorf("%s %s: %w", t.kind, to, ErrNameTaken)
	}
	if to != "" {
		f.names[to] = id
	}
	return nil
}

// conclude ends a change: the thing is v from now on, and keeps of both names
// the one that v has.
func (t *table[I, T, R]) conclude(r *row[T], v *T, names ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := R(v).meta()
	f := t.folder(m.Folder)
	for _, name := range names {
		if name != m.Name && f.names[name] == m.ID {
			delete(f.names, name)
		}
	}
	f.replace(r.value, v)
	r.value = v
}

// remove removes a thing. Clear, unless it is nil, is called when the record
// is gone, and the thing is off the list when that returns.
func (t *table[I, T, R]) remove(ctx context.Context, id I, clear func(T) error) error {
	r, err := t.lock(id)
	if err != nil {
		return err
	}
	defer r.writing.Unlock()
	v := *t.value(r)
	m := R(&v).meta()
	if m.Status != Ready {
		return fmt.Errorf("%s %s is %v: %w", t.kind, id, m.Status, ErrNotReady)
	}
	m.Status = Deleting
	t.replace(r, &v)
	if err := t.erase(ctx, id); err != nil {
		again := v
		R(&again).meta().Status = Ready
		t.replace(r, &again)
		return fmt.Errorf("remove %s %s: %w", t.kind, id, err)
	}
	if clear != nil {
		err = clear(v)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(r)
	return err
}

// erase removes a record. It is gone, too, when removing it fails and nothing
// is left of it.
func (t *table[I, T, R]) erase(ctx context.Context, id I) error {
	err := t.store.RemoveRecord(ctx, t.kind, string(id))
	if err == nil {
		return nil
	}
	_, left := t.store.Record(context.WithoutCancel(ctx), t.kind, string(id))
	if errors.Is(left, cas.ErrNotFound) {
		return nil
	}
	return err
}

func (t *table[I, T, R]) write(ctx context.Context, v *T) error {
	rec, err := encodeRecord[I, T, R](t.kind, v)
	if err != nil {
		return err
	}
	return t.store.PutRecord(ctx, rec)
}

// lock takes a thing for writing, with its record in the store if it has one; the
// caller unlocks it.
func (t *table[I, T, R]) lock(id I) (*row[T], error) {
	t.mu.RLock()
	r := t.rows[id]
	t.mu.RUnlock()
	if r == nil {
		return nil, t.missing(string(id))
	}
	r.writing.Lock()
	t.mu.RLock()
	gone := t.rows[id] != r
	t.mu.RUnlock()
	if gone {
		r.writing.Unlock()
		return nil, t.missing(string(id))
	}
	if err := t.writeDeferred(r); err != nil {
		r.writing.Unlock()
		return nil, err
	}
	return r, nil
}

func (t *table[I, T, R]) value(r *row[T]) *T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return r.value
}

func (t *table[I, T, R]) replace(r *row[T], v *T) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.folder(R(v).meta().Folder).replace(r.value, v)
	r.value = v
}
