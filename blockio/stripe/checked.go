package stripe

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/blockmill/blockmill/blockio"
)

// checkedRow is a row whose units are read whole and checked.
type checkedRow struct {
	o    *Object
	row  int64
	unit int
	// units are those that are known to be right, by shard; nil the others.
	units [][]byte
	// spoilt says of each shard that was looked at why its unit is not right.
	spoilt []error

	slots []byte // a unit for each shard
}

// newCheckedRow begins with memory for a unit of each shard.
func (o *Object) newCheckedRow(row int64, slots []byte) *checkedRow {
	n := o.lay.shards()
	return &checkedRow{
		o: o, row: row, unit: o.lay.unitOf(row), slots: slots,
		units: make([][]byte, n), spoilt: make([]error, n),
	}
}

// slot is the memory for a shard's unit.
func (r *checkedRow) slot(i int) []byte {
	return r.slots[i*r.unit : (i+1)*r.unit : (i+1)*r.unit]
}

// load makes the units of the wanted shards: it reads them, and rebuilds those
// that are wrong from others. It is a *LostError when that cannot be done; then
// spoilt tells which are wrong.
func (r *checkedRow) load(want memberSet) error {
	r.read(want)
	if r.complete(want) {
		return nil
	}
	for have := r.good(); have < r.o.lay.k; have = r.good() {
		var more memberSet
		for i := range r.units {
			if have < r.o.lay.k && r.units[i] == nil && r.spoilt[i] == nil {
				more.add(i)
				have++
			}
		}
		if more == (memberSet{}) {
			return r.o.lost(r.row, r.good(), r.spoilt)
		}
		r.read(more)
	}
	return r.rebuild(want)
}

func (r *checkedRow) good() int {
	n := 0
	for _, unit := range r.units {
		if unit != nil {
			n++
		}
	}
	return n
}

func (r *checkedRow) complete(want memberSet) bool {
	for i, unit := range r.units {
		if want.has(i) && unit == nil {
			return false
		}
	}
	return true
}

// read reads and checks units of some shards, all at once.
func (r *checkedRow) read(which memberSet) {
	var wg sync.WaitGroup
	for i := range r.units {
		if which.has(i) && r.units[i] == nil && r.spoilt[i] == nil {
			wg.Go(func() { r.spoilt[i] = r.o.readChecksummed(i, r.row, r.slot(i)) })
		}
	}
	wg.Wait()
	for i := range r.units {
		if which.has(i) && r.spoilt[i] == nil {
			r.units[i] = r.slot(i)
		}
	}
}

// errUnitSum says that a unit's bytes are not what was written.
var errUnitSum = errors.New("wrong checksum of a unit")

// readChecksummed reads a whole unit of a shard and checks it.
func (o *Object) readChecksummed(i int, row int64, dst []byte) error {
	if err := o.readUnit(i, row, 0, dst); err != nil {
		return err
	}
	return o.checkUnit(i, row, dst)
}

// checkUnit checks a unit of a shard that was read.
func (o *Object) checkUnit(i int, row int64, dst []byte) error {
	m := o.volume.members[i]
	if got, want := xxhash.Sum64(dst), o.shard(i).trailer.sums[row]; got != want {
		o.volume.stats.checksumErrors.Add(1)
		err := m.wrap(fmt.Errorf("row %d is %016x, expected %016x: %w: %w", row, got, want, errUnitSum, ErrCorrupt))
		o.volume.suspect(o.name, m, err)
		return err
	}
	return nil
}

// rebuild makes the wanted units that are missing from k others.
func (r *checkedRow) rebuild(want memberSet) error {
	required := make([]bool, len(r.units))
	shards := make([][]byte, len(r.units))
	for i := range r.units {
		shards[i] = r.units[i]
		if shards[i] == nil && want.has(i) {
			required[i] = true
			shards[i] = r.slot(i)[:0]
		}
	}
	if err := r.o.volume.enc.ReconstructSome(shards, required); err != nil {
		return err
	}
	for i := range r.units {
		if !required[i] {
			continue
		}
		if f := r.o.shard(i); f.err == nil && !f.trailer.matches(r.row, shards[i]) {
			return r.o.lost(r.row, r.good(), append(r.spoilt, fmt.Errorf("what was rebuilt of shard %d: %w", i, errUnitSum)))
		}
		r.units[i] = shards[i]
		r.o.volume.stats.rebuiltReads.Add(1)
	}
	return nil
}

// lostSum is the checksum of a unit of n bytes that could not be rebuilt when its
// shard was: the complement of that of the zeros in its place.
func lostSum(n int) uint64 {
	var zeros [blockio.BlockSize]byte
	d := xxhash.New()
	for ; n > 0; n -= len(zeros) {
		_, _ = d.Write(zeros[:]) // never fails
	}
	return ^d.Sum64()
}

// matches says whether a rebuilt unit is what the shard had, as far as the shard
// knows.
func (t *trailer) matches(row int64, unit []byte) bool {
	return t.sums[row] == xxhash.Sum64(unit) || t.sums[row] == lostSum(len(unit))
}

// readChecked is read that takes nothing on trust.
func (o *Object) readChecked(p []byte, off int64) error {
	for _, pieces := range o.rowsOf(p, off) {
		if err := o.readCheckedRow(pieces); err != nil {
			return err
		}
	}
	return nil
}

func (o *Object) readCheckedRow(pieces []piece) error {
	row := pieces[0].row
	slots, release := o.volume.scratch.take(o.lay.shards() * o.lay.unitOf(row))
	defer release()
	r := o.newCheckedRow(row, slots)
	var want memberSet
	for _, pc := range pieces {
		want.add(pc.shard)
	}
	if err := r.load(want); err != nil {
		return err
	}
	for _, pc := range pieces {
		copy(pc.dst, r.units[pc.shard][pc.at:])
	}
	return nil
}
