package cas

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/blockmill/blockmill/blockio"
)

// recordBatch is an object that holds records which were put at the same time. A
// record goes by writing the others to a new batch, which says that it replaces
// this one, or with the object when it was the last. A later version of a record
// is elsewhere, and hides what is here.
type recordBatch struct {
	table *recordTable // immutable
	going *gatherer[recordName, struct{}]

	mu     sync.RWMutex // held to read the object, and to say which it is
	serial batchSerial  // 0 once it is removed; changed in rounds of going only
	stale  batchSerial  // what it replaces and may still be there, else 0; as serial
	slots  map[recordName]slot
	hidden map[recordName]struct{} // have later versions
	unsure error                   // which object counts is not known until the store is opened again
}

func newRecordBatch(t *recordTable, o batchObject) *recordBatch {
	b := &recordBatch{
		table: t, serial: o.serial, stale: o.replaces,
		slots: make(map[recordName]slot), hidden: make(map[recordName]struct{}),
		going: newGatherer[recordName, struct{}](func([]recordName, recordName) bool { return true }),
	}
	for i, name := range o.names {
		b.slots[name] = o.slots[i]
	}
	return b
}

// read gives the bytes of a record to check, as readObject does.
func (b *recordBatch) read(ctx context.Context, name recordName, check func(p []byte) error) (err error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	s, ok := b.slots[name]
	if !ok {
		return blockio.ErrNotFound
	}
	o, err := b.table.volume.Open(ctx, b.serial.object())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	err = readChecked(o, b.serial.object(), make([]byte, s.size), int64(s.off), check)
	var c *CorruptError
	switch {
	case errors.As(err, &c): // of an object that the record would be by itself
		return corrupt(b.serial.object(), int64(s.off)+c.Offset, "record %s.%s: %s", name.kind, name.id, c.Reason)
	case err != nil:
		return fmt.Errorf("in %s at %d: %w", b.serial.object(), s.off, err)
	}
	return nil
}

// hide says that there is a later version of a record. With the last that is not
// hidden the batch goes.
func (b *recordBatch) hide(ctx context.Context, name recordName) error {
	b.mu.Lock()
	_, here := b.slots[name]
	if here {
		b.hidden[name] = struct{}{}
	}
	done := here && len(b.hidden) == len(b.slots)
	b.mu.Unlock()
	if !done {
		return nil
	}
	return b.remove(ctx, name)
}

// remove removes a record durably. It may be gone even after an error.
func (b *recordBatch) remove(ctx context.Context, name recordName) error {
	_, err := b.going.do(name, func(names []recordName) (struct{}, error) {
		return struct{}{}, b.leaveOut(context.WithoutCancel(ctx), names)
	})
	return err
}

// holds says whether the object has a record.
func (b *recordBatch) holds(name recordName) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	_, ok := b.slots[name]
	return ok
}

// leaveOut is remove for many, one call at a time.
func (b *recordBatch) leaveOut(ctx context.Context, names []recordName) error {
	if b.unsure != nil {
		return b.unsure
	}
	if err := b.removeStale(ctx); err != nil {
		return err
	}
	keep, err := b.rest(ctx, names)
	if err != nil {
		return err
	}
	if len(keep) > 0 {
		return b.replace(ctx, keep)
	}
	if b.serial != 0 {
		if err := b.table.removeObject(ctx, b.serial.object()); err != nil {
			return err
		}
	}
	b.become(batchObject{})
	return nil
}

// removeStale removes the batch that this one replaces: when it is replaced in
// its turn, nothing would say so any more.
func (b *recordBatch) removeStale(ctx context.Context) error {
	if b.stale == 0 {
		return nil
	}
	if err := b.table.removeObject(ctx, b.stale.object()); err != nil {
		return err
	}
	b.stale = 0
	return nil
}

// rest reads the records that stay when some go. What is damaged is taken along
// as it is.
func (b *recordBatch) rest(ctx context.Context, without []recordName) ([]encodedRecord, error) {
	b.mu.RLock()
	stay := make(map[recordName]slot, len(b.slots))
	for name, s := range b.slots {
		if _, hidden := b.hidden[name]; !hidden {
			stay[name] = s
		}
	}
	b.mu.RUnlock()
	for _, name := range without {
		delete(stay, name)
	}
	var all []encodedRecord
	for name := range stay {
		var raw []byte
		err := b.read(ctx, name, func(p []byte) error {
			raw = p
			_, err := parseRecordObject(p, b.table.store, name)
			return err
		})
		if err != nil && !errors.Is(err, ErrCorrupt) {
			return nil, err
		}
		all = append(all, encodedRecord{name, raw})
	}
	return all, nil
}

// replace writes the records to a new batch in the place of this one.
func (b *recordBatch) replace(ctx context.Context, records []encodedRecord) error {
	old := b.serial
	p, o := encodeBatch(b.table.store, b.table.serials.next(), old, records)
	err := blockio.WriteObject(ctx, b.table.volume, o.serial.object(), p)
	if err != nil {
		there, lookErr := b.table.visible(ctx, o.serial.object())
		switch {
		case lookErr != nil:
			b.unsure = errors.Join(err, lookErr)
			return b.unsure
		case !there:
			return err
		}
	}
	b.become(o)
	b.stale = old
	if err != nil {
		return err
	}
	// It counts no more, and goes at the next change if not now.
	_ = b.removeStale(ctx)
	return nil
}

// become makes the batch another object, in which nothing is hidden.
func (b *recordBatch) become(o batchObject) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.serial, b.slots = o.serial, make(map[recordName]slot, len(o.names))
	for i, name := range o.names {
		b.slots[name] = o.slots[i]
	}
	for name := range b.hidden {
		if _, ok := b.slots[name]; !ok {
			delete(b.hidden, name)
		}
	}
}
