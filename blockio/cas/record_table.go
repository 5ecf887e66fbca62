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

// recordTable knows the names of all records. Changes of one record come one
// after another, those of different records go on side by side: records that are
// put while one is being written are then written together, as one batch.
type recordTable struct {
	// Immutable.
	volume blockio.Volume
	store  StoreID
	puts   *gatherer[encodedRecord, written]
	lost   []error // why records are not listed that must have been there

	serials serialSource

	mu     sync.Mutex
	states map[recordKey]*recordState // guarded by mu
}

// recordState is what the table knows of one record.
type recordState struct {
	users int // hold mu or wait for it; guarded by the table's mu

	mu sync.Mutex // held over changes and reads; the table's mu is not waited for meanwhile
	// versions lists those that the volume has, ascending; more than one
	// after a crash between writing the new and removing the old, or when the
	// old is in a batch; none while there is no record. Guarded by mu.
	versions []recordVersion
}

// recordVersion is one version of a record, in a batch or, without one, in an
// object of its own.
type recordVersion struct {
	number uint64
	batch  *recordBatch
}

// hold gives the caller a record of its own until release.
func (t *recordTable) hold(k recordKey) *recordState {
	t.mu.Lock()
	st, ok := t.states[k]
	if !ok {
		st = &recordState{}
		t.states[k] = st
	}
	st.users++
	t.mu.Unlock()
	st.mu.Lock()
	return st
}

// release ends hold. A record that does not exist is forgotten with its last
// user.
func (t *recordTable) release(k recordKey, st *recordState) {
	st.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if st.users--; st.users == 0 && len(st.versions) == 0 { // nobody else has st.mu
		delete(t.states, k)
	}
}

// put writes the next version of a record, then removes the older ones.
func (t *recordTable) put(ctx context.Context, r Record) error {
	k := recordKey{r.Kind, r.ID}
	st := t.hold(k)
	defer t.release(k, st)
	next := uint64(1)
	if n := len(st.versions); n > 0 {
		next = st.versions[n-1].number + 1
	}
	e := encodedRecord{recordName{r.Kind, r.ID, next}, r.encode(t.store, next)}
	w, err := t.write(ctx, e)
	if w.there {
		st.versions = append(st.versions, recordVersion{next, w.batch})
	}
	if err != nil {
		return err
	}
	return t.trim(ctx, k, st)
}

// trim removes the older versions of a record, or leaves them hidden in their
// batches. The caller holds st.
func (t *recordTable) trim(ctx context.Context, k recordKey, st *recordState) error {
	latest := len(st.versions) - 1
	var left []recordVersion
	for i, v := range st.versions[:latest] {
		name := recordName{k.kind, k.id, v.number}
		var err error
		if v.batch == nil {
			err = t.removeObject(ctx, name.object())
		} else if err = v.batch.hide(ctx, name); v.batch.holds(name) {
			left = append(left, v)
		}
		if err != nil {
			st.versions = append(left, st.versions[i:]...)
			return err
		}
	}
	st.versions = append(left, st.versions[latest])
	return nil
}

// remove removes a record, its latest version last: until then it is there.
func (t *recordTable) remove(ctx context.Context, k recordKey) error {
	st := t.hold(k)
	defer t.release(k, st)
	if len(st.versions) == 0 {
		return ErrNotFound
	}
	for len(st.versions) > 0 {
		v := st.versions[0]
		name := recordName{k.kind, k.id, v.number}
		var err error
		if v.batch == nil {
			err = t.removeObject(ctx, name.object())
		} else if v.batch.holds(name) {
			err = v.batch.remove(ctx, name)
		}
		if err != nil {
			return err
		}
		st.versions = st.versions[1:]
	}
	return nil
}

// removeObject removes an object that may be gone already.
func (t *recordTable) removeObject(ctx context.Context, name string) error {
	err := t.volume.Remove(ctx, name)
	if errors.Is(err, blockio.ErrNotFound) {
		return nil
	}
	return err
}

// get reads the latest version of a record. One that is damaged is no reason to
// take an older one, which was replaced.
func (t *recordTable) get(ctx context.Context, k recordKey) (r Record, err error) {
	st := t.hold(k)
	defer t.release(k, st)
	if len(st.versions) == 0 {
		return Record{}, ErrNotFound
	}
	v := st.versions[len(st.versions)-1]
	name := recordName{k.kind, k.id, v.number}
	err = t.read(ctx, v.batch, name, func(p []byte) (err error) {
		r, err = parseRecordObject(p, t.store, name)
		return err
	})
	if err != nil {
		return Record{}, err
	}
	return r, nil
}

// read gives the bytes of a version to check.
func (t *recordTable) read(ctx context.Context, in *recordBatch, name recordName, check func(p []byte) error) error {
	if in != nil {
		return in.read(ctx, name, check)
	}
	return readObject(ctx, t.volume, name.object(), maxRecord, check)
}

// keys lists the records of a kind, or of all when kind is empty, in order,
// and perhaps some that are just coming or going.
func (t *recordTable) keys(kind string) []recordKey {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := slices.Collect(maps.Keys(t.states))
	all = slices.DeleteFunc(all, func(k recordKey) bool { return kind != "" && k.kind != kind })
	slices.SortFunc(all, func(a, b recordKey) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.id, b.id))
	})
	return all
}

// PutRecord makes a record durable, in the place of an earlier one of its kind
// and id. The manifests that it lists must exist: ErrNotFound. The new record
// may be there even after an error; the old one is as long as the new is not.
// Records put at the same time share what they can of the syncs.
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
