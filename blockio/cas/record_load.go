package cas

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/blockmill/blockmill/blockio"
)

// loadRecords lists the records of a volume. Only batches have to be read for
// that; one that cannot be is lost, with records of which not even the names are
// known.
func loadRecords(ctx context.Context, v blockio.Volume, store StoreID) (*recordTable, error) {
	t := &recordTable{
		volume: v, store: store, states: make(map[recordKey]*recordState),
		puts: newGatherer[encodedRecord, written](batchFits),
	}
	var batches []batchSerial
	for e, err := range v.List(ctx, recordKind) {
		if err != nil {
			return nil, fmt.Errorf("list records: %w", err)
		}
		if serial, ok := parseBatchName(e.Name); ok {
			batches = append(batches, serial)
			continue
		}
		n, err := parseRecordName(e.Name)
		if err != nil {
			return nil, fmt.Errorf("list records: %w", err)
		}
		t.add(n, nil)
	}
	t.lost = blockio.Lost(v, recordKind)
	if err := t.loadBatches(ctx, batches); err != nil {
		return nil, fmt.Errorf("list records: %w", err)
	}
	for k, st := range t.states {
		st.order(k)
	}
	return t, nil
}

// loadBatches adds the records of all batches but those that others replace.
func (t *recordTable) loadBatches(ctx context.Context, serials []batchSerial) error {
	var all []batchObject
	replaced := make(map[batchSerial]bool)
	for _, serial := range serials {
		t.serials.passed(serial)
		var o batchObject
		err := readObject(ctx, t.volume, serial.object(), maxBatchSize, func(p []byte) (err error) {
			o, err = parseBatch(p, t.store, serial)
			return err
		})
		if damaged(err) {
			t.lost = append(t.lost, err)
			continue
		}
		if err != nil {
			return err
		}
		t.serials.passed(o.replaces)
		replaced[o.replaces] = true
		all = append(all, o)
	}
	for _, o := range all {
		if replaced[o.serial] {
			continue
		}
		b := newRecordBatch(t, o)
		for _, name := range o.names {
			t.add(name, b)
		}
	}
	return nil
}

// add lists a version of a record, while the table is loaded.
func (t *recordTable) add(n recordName, in *recordBatch) {
	k := recordKey{n.kind, n.id}
	if t.states[k] == nil {
		t.states[k] = &recordState{}
	}
	t.states[k].versions = append(t.states[k].versions, recordVersion{n.version, in})
}

// order puts the versions in their order and tells the batches which of theirs
// are hidden, while the table is loaded.
func (st *recordState) order(k recordKey) {
	slices.SortFunc(st.versions, func(a, b recordVersion) int { return cmp.Compare(a.number, b.number) })
	for _, v := range st.versions[:len(st.versions)-1] {
		if v.batch != nil {
			v.batch.hidden[recordName{k.kind, k.id, v.number}] = struct{}{}
		}
	}
}

// serialSource draws the serials of batches, each above all before.
type serialSource struct{ last atomic.Uint64 }

func (s *serialSource) next() batchSerial { return batchSerial(s.last.Add(1)) }

// passed says that a serial was drawn in an earlier life of the store.
func (s *serialSource) passed(serial batchSerial) {
	s.last.Store(max(s.last.Load(), uint64(serial)))
}
