package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/blockmill/blockmill/blockio/cas"
)

// table is the things of one kind: their records in the store, and in memory
// the orders in which they are listed.
type table[I ~string, T any, R resource[I, T]] struct {
	kind  string
	store *cas.Store
	home  FolderID // of records that name no folder

	mu      sync.RWMutex
	rows    map[I]*row[T]                 // guarded by mu
	folders map[FolderID]*folder[I, T, R] // guarded by mu

	submissions [][]byte // that load has found
}

// row is one thing.
type row[T any] struct {
	// writing is held while the record is written or removed. It is taken
	// before the table's mu, never after.
	writing sync.Mutex
	// deferred is the record that the store is yet to have; guarded by writing.
	deferred *deferredRecord[T]
	// value is replaced, never changed; guarded by the table's mu.
	value *T
}

func newTable[I ~string, T any, R resource[I, T]](kind string, store *cas.Store, home FolderID) *table[I, T, R] {
	return &table[I, T, R]{
		kind: kind, store: store, home: home,
		rows: make(map[I]*row[T]), folders: make(map[FolderID]*folder[I, T, R]),
	}
}

// load reads the records. It returns why some could not be read; a later
// version of a record is an error.
func (t *table[I, T, R]) load(ctx context.Context) (damage []error, err error) {
	folders := make(map[FolderID]FolderID) // their names are kept once
	for r, err := range t.store.Records(ctx, t.kind) {
		var v *T
		if err == nil {
			v, err = decodeRecord[I, T, R](r, t.home)
		}
		if err == nil {
			m := R(v).meta()
			if folders[m.Folder] == "" {
				folders[m.Folder] = m.Folder
			}
			m.Folder = folders[m.Folder]
		}
		if err == nil {
			err = t.note(v)
		}
		switch {
		case ctx.Err() != nil, errors.Is(err, cas.ErrNewerVersion):
			return nil, cmp.Or(ctx.Err(), err)
		case err != nil:
			damage = append(damage, err)
		}
	}
	for _, f := range t.folders {
		for o := range orders {
			slices.SortFunc(f.in[o], func(a, b *T) int {
				return keyOf[I, T, R](a).compare(o, keyOf[I, T, R](b))
			})
		}
	}
	return damage, nil
}

// note lists a thing that load has read, in no order yet.
func (t *table[I, T, R]) note(v *T) error {
	f, err := t.enter(v)
	if err != nil {
		return err
	}
	for o := range orders {
		f.in[o] = append(f.in[o], v)
	}
	return nil
}

// enter lists a thing that has a record, but for its places in its folder. The
// table's mu is held, or nobody else has the table.
func (t *table[I, T, R]) enter(v *T) (*folder[I, T, R], error) {
	m := R(v).meta()
	if m.Submission != nil {
		t.submissions = append(t.submissions, m.Submission)
		m.Submission = nil
	}
	f := t.folder(m.Folder)
	if other, taken := f.names[m.Name]; taken && m.Name != "" {
		return nil, fmt.Errorf("%s %s: named %s, as %s is: %w", t.kind, m.ID, m.Name, other, cas.ErrCorrupt)
	}
	if m.Name != "" {
		f.names[m.Name] = m.ID
	}
	t.rows[m.ID] = &row[T]{value: v}
	return f, nil
}

// folder gives the things of a folder. The table's mu is held.
func (t *table[I, T, R]) folder(id FolderID) *folder[I, T, R] {
	f := t.folders[id]
	if f == nil {
		f = &folder[I, T, R]{names: make(map[string]I)}
		t.folders[id] = f
	}
	return f
}

// reserve lists a thing that is about to be made, and takes its name. A thing
// that was made by the same operation, or is being made by it, is returned
// instead.
func (t *table[I, T, R]) reserve(v T) (T, error) {
	m := R(&v).meta()
	m.Status = Creating
	if err := CheckName(m.Name); err != nil {
		return v, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.rows[m.ID]; r != nil {
		if have := R(r.value).meta(); have.Folder == m.Folder && have.Operation == m.Operation && m.Operation != "" {
			return *r.value, nil
		}
		return v, fmt.Errorf("%s %s: the id is taken", t.kind, m.ID)
	}
	f := t.folder(m.Folder)
	if _, taken := f.names[m.Name]; taken && m.Name != "" {
		return v, fmt.Errorf("%s %s: %w", t.kind, m.Name, ErrNameTaken)
	}
	if m.Name != "" {
		f.names[m.Name] = m.ID
	}
	t.rows[m.ID] = &row[T]{value: &v}
	f.insert(&v)
	return v, nil
}

// release takes a thing off the list that was reserved and not committed.
func (t *table[I, T, R]) release(id I) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.rows[id]; r != nil && R(r.value).meta().Status == Creating {
		t.forget(r)
	}
}

// forget takes a thing off the list. The table's mu is held.
func (t *table[I, T, R]) forget(r *row[T]) {
	m := R(r.value).meta()
	f := t.folder(m.Folder)
	f.remove(r.value)
	delete(t.rows, m.ID)
	if f.names[m.Name] == m.ID {
		delete(f.names, m.Name)
	}
	if len(f.in[ByID]) == 0 && len(f.names) == 0 {
		delete(t.folders, m.Folder)
	}
}

func (t *table[I, T, R]) missing(id string) error {
	return fmt.Errorf("%s %s: %w", t.kind, id, ErrNotFound)
}

// get gives the thing of an id.
func (t *table[I, T, R]) get(id I) (T, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if r := t.rows[id]; r != nil {
		return *r.value, nil
	}
	return *new(T), t.missing(string(id))
}

// named gives the thing of a name.
func (t *table[I, T, R]) named(in FolderID, name string) (T, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if f := t.folders[in]; f != nil && name != "" {
		if r := t.rows[f.names[name]]; r != nil && R(r.value).meta().Name == name {
			return *r.value, nil
		}
	}
	return *new(T), t.missing(name)
}

// all gives everything of every folder, in no order.
func (t *table[I, T, R]) all() []T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	all := make([]T, 0, len(t.rows))
	for _, r := range t.rows {
		all = append(all, *r.value)
	}
	return all
}
