package cas

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/blockmill/blockmill/blockio"
)

// recordKey names a record whatever its version.
type recordKey struct{ kind, id string }

// recordTable knows the names of all records. Its mutex is held over changes, so
// records change one at a time.
type recordTable struct {
	volume blockio.Volume
	store  StoreID

	mu sync.Mutex
	// versions lists those that the volume has, ascending; more than one
	// after a crash between writing the new and removing the old. Guarded
	// by mu.
	versions map[recordKey][]uint64
	// lost are why records are not listed that must have been there.
	// Immutable.
	lost []error
}

func loadRecords(ctx context.Context, v blockio.Volume, store StoreID) (*recordTable, error) {
	t := &recordTable{volume: v, store: store, versions: make(map[recordKey][]uint64)}
	for e, err := range v.List(ctx, recordKind) {
		if err != nil {
			return nil, fmt.Errorf("list records: %w", err)
		}
		n, err := parseRecordName(e.Name)
		if err != nil {
			return nil, fmt.Errorf("list records: %w", err)
		}
		k := recordKey{n.kind, n.id}
		t.versions[k] = append(t.versions[k], n.version) // listed in order
	}
	t.lost = blockio.Lost(v, recordKind)
	return t, nil
}

// put writes the next version of a record, then removes the older ones.
func (t *recordTable) put(ctx context.Context, r Record) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := recordKey{r.Kind, r.ID}
	next := uint64(1)
	if old := t.versions[k]; len(old) > 0 {
		next = old[len(old)-1] + 1
	}
	name := recordName{r.Kind, r.ID, next}.object()
	if err := blockio.WriteObject(ctx, t.volume, name, r.encode(t.store, next)); err != nil {
		// The commit may have failed after the object became visible.
		if o, openErr := t.volume.Open(context.WithoutCancel(ctx), name); openErr == nil {
			t.versions[k] = append(t.versions[k], next)
			err = errors.Join(err, o.Close())
		}
		return err
	}
	t.versions[k] = append(t.versions[k], next)
	return t.trim(ctx, k, 1)
}

// remove removes a record, its latest version last: until then it is there.
func (t *recordTable) remove(ctx context.Context, k recordKey) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.versions[k]) == 0 {
		return ErrNotFound
	}
	if err := t.trim(ctx, k, 0); err != nil {
		return err
	}
	delete(t.versions, k)
	return nil
}

// trim removes the oldest versions until keep are left. Mu is held.
func (t *recordTable) trim(ctx context.Context, k recordKey, keep int) error {
	for len(t.versions[k]) > keep {
		err := t.volume.Remove(ctx, recordName{k.kind, k.id, t.versions[k][0]}.object())
		if err != nil && !errors.Is(err, blockio.ErrNotFound) {
			return err
		}
		t.versions[k] = t.versions[k][1:]
	}
	return nil
}

// get reads the latest intact version of a record.
func (t *recordTable) get(ctx context.Context, k recordKey) (Record, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := error(ErrNotFound)
	for _, v := range slices.Backward(t.versions[k]) {
		name := recordName{k.kind, k.id, v}
		var r Record
		err = readObject(ctx, t.volume, name.object(), maxRecord, func(p []byte) (err error) {
			r, err = parseRecordObject(p, t.store, name)
			return err
		})
		if !errors.Is(err, ErrCorrupt) {
			return r, err
		}
	}
	return Record{}, err
}

// keys lists the records of a kind, or of all when kind is empty, in order.
func (t *recordTable) keys(kind string) []recordKey {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := slices.Collect(maps.Keys(t.versions))
	all = slices.DeleteFunc(all, func(k recordKey) bool { return kind != "" && k.kind != kind })
	slices.SortFunc(all, func(a, b recordKey) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.id, b.id))
	})
	return all
}

// PutRecord makes a record durable, in the place of an earlier one of its kind
// and id. The manifests that it lists must exist: ErrNotFound. The new record
// may be there even after an error; the old one is as long as the new is not.
func (s *Store) PutRecord(ctx context.Context, r Record) error {
	if r.Kind == draftKind {
		return fmt.Errorf("put record: kind %q is that of drafts", draftKind)
	}
	return s.putRecord(ctx, r)
}

// putRecord is PutRecord for every kind.
func (s *Store) putRecord(ctx context.Context, r Record) error {
	if err := r.validate(); err != nil {
		return fmt.Errorf("put record: %w", err)
	}
	s.roots.RLock()
	defer s.roots.RUnlock()
	for _, id := range r.Manifests {
		if err := s.hasManifest(ctx, id); err != nil {
			return fmt.Errorf("put record %s.%s: manifest %v: %w", r.Kind, r.ID, id, err)
		}
	}
	if err := s.records.put(ctx, r); err != nil {
		return fmt.Errorf("put record %s.%s: %w", r.Kind, r.ID, err)
	}
	return nil
}

// RemoveRecord removes a record durably; ErrNotFound without one. The record may
// be gone even after an error.
func (s *Store) RemoveRecord(ctx context.Context, kind, id string) error {
	s.roots.RLock()
	defer s.roots.RUnlock()
	if err := s.records.remove(ctx, recordKey{kind, id}); err != nil {
		return fmt.Errorf("remove record %s.%s: %w", kind, id, err)
	}
	return nil
}

// Record reads a record; ErrNotFound without one.
func (s *Store) Record(ctx context.Context, kind, id string) (Record, error) {
	r, err := s.records.get(ctx, recordKey{kind, id})
	if err != nil {
		return Record{}, fmt.Errorf("read record %s.%s: %w", kind, id, err)
	}
	return r, nil
}

// Records reads the records of a kind, or all when kind is empty, in the order
// of kinds and ids. One that cannot be read is yielded as an error, and the rest
// after it; those of which not even the name is certain come last, with every
// kind.
func (s *Store) Records(ctx context.Context, kind string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, k := range s.records.keys(kind) {
			r, err := s.Record(ctx, k.kind, k.id)
			if errors.Is(err, ErrNotFound) {
				continue // removed in the meantime
			}
			if !yield(r, err) {
				return
			}
		}
		for _, err := range s.records.lost {
			if !yield(Record{}, fmt.Errorf("read records: %w", err)) {
				return
			}
		}
	}
}

// hasManifest says whether a manifest exists and is not being removed.
func (s *Store) hasManifest(ctx context.Context, id ManifestID) error {
	s.mu.Lock()
	_, doomed := s.doomed[id]
	s.mu.Unlock()
	if doomed {
		return ErrNotFound
	}
	o, err := s.opts.Volume.Open(ctx, id.object())
	if errors.Is(err, blockio.ErrNotFound) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	return o.Close()
}
