package stripe

import (
	"errors"
	"sync"
)

// readRow fills pieces of one row. Those that their shards cannot deliver are
// rebuilt from the same bytes of k others: of pieces that are read anyway, and
// of further shards read for the purpose.
func (o *Object) readRow(pieces []piece) error {
	r := rowRead{o: o, pieces: pieces, spoilt: make([]error, o.lay.shards())}
	for i := range pieces {
		if f := o.shard(pieces[i].shard); f.err != nil {
			r.spoilt[pieces[i].shard] = f.err
		}
	}
	// Each turn without success spoils another shard.
	for {
		again, err := r.turn()
		if err != nil || !again {
			return err
		}
	}
}

// rowRead is the reading of a part of a row.
type rowRead struct {
	o      *Object
	pieces []piece
	spoilt []error // of each shard, why it cannot be used
	done   bool    // the pieces of all shards that are not spoilt are filled
}

// turn reads all that is needed and not spoilt, then rebuilds the rest. It says
// to try again when a read failed.
func (r *rowRead) turn() (again bool, err error) {
	from, to, lost := r.hull()
	if lost == 0 {
		if !r.done {
			return r.fill(nil, 0), nil
		}
		return false, nil
	}
	lay := r.o.lay
	if good := r.good(); good < lay.k {
		return false, r.o.lost(r.pieces[0].row, good, r.spoilt)
	}
	shards := make([][]byte, lay.shards())
	have := 0
	for _, pc := range r.pieces {
		if r.spoilt[pc.shard] == nil && pc.at <= from && pc.at+len(pc.dst) >= to {
			shards[pc.shard] = pc.dst[from-pc.at : to-pc.at]
			have++
		}
	}
	width := to - from
	buf, release := r.o.volume.scratch.take((lay.k - have + lost) * width)
	defer release()
	cut := func() []byte {
		p := buf[:width:width]
		buf = buf[width:]
		return p
	}
	extra := map[int][]byte{}
	for i := 0; i < lay.shards() && have < lay.k; i++ {
		if shards[i] != nil || r.spoilt[i] != nil {
			continue
		}
		if f := r.o.shard(i); f.err != nil {
			r.spoilt[i] = f.err
			continue
		}
		shards[i] = cut()
		extra[i] = shards[i]
		have++
	}
	if have < lay.k {
		return false, r.o.lost(r.pieces[0].row, have, r.spoilt)
	}
	if r.fill(extra, from) {
		return true, nil
	}
	return false, r.rebuild(shards, cut, from, to)
}

// good counts the shards that are not spoilt.
func (r *rowRead) good() int {
	n := 0
	for _, err := range r.spoilt {
		if err == nil {
			n++
		}
	}
	return n
}

// hull is the range of the unit that all spoilt pieces lie in, and how many
// there are.
func (r *rowRead) hull() (from, to, lost int) {
	for _, pc := range r.pieces {
		if r.spoilt[pc.shard] == nil {
			continue
		}
		if lost == 0 {
			from, to = pc.at, pc.at+len(pc.dst)
		}
		from, to = min(from, pc.at), max(to, pc.at+len(pc.dst))
		lost++
	}
	return from, to, lost
}

// fill reads the pieces that are neither spoilt nor filled yet, and extra units
// from an offset on. It says whether a read failed.
func (r *rowRead) fill(extra map[int][]byte, from int) (failed bool) {
	var todo []piece
	if !r.done {
		for _, pc := range r.pieces {
			if r.spoilt[pc.shard] == nil {
				todo = append(todo, pc)
			}
		}
	}
	for i, dst := range extra {
		todo = append(todo, piece{shard: i, at: from, dst: dst})
	}
	row := r.pieces[0].row
	errs := make([]error, len(todo))
	var wg sync.WaitGroup
	for i, pc := range todo {
		wg.Go(func() { errs[i] = r.o.readUnit(pc.shard, row, pc.at, pc.dst) })
	}
	wg.Wait()
	r.done = true
	for i, err := range errs {
		if err != nil {
			r.spoilt[todo[i].shard] = err
			failed = true
		}
	}
	return failed
}

// rebuild makes the spoilt pieces from k shards, of which it has the range.
func (r *rowRead) rebuild(shards [][]byte, cut func() []byte, from, to int) error {
	required := make([]bool, r.o.lay.k)
	for _, pc := range r.pieces {
		if r.spoilt[pc.shard] == nil {
			continue
		}
		required[pc.shard] = true
		if pc.at == from && len(pc.dst) == to-from {
			shards[pc.shard] = pc.dst[:0:len(pc.dst)]
		} else {
			shards[pc.shard] = cut()[:0]
		}
	}
	if err := r.o.volume.enc.ReconstructSome(shards, required); err != nil {
		return err
	}
	for _, pc := range r.pieces {
		if r.spoilt[pc.shard] == nil {
			continue
		}
		r.o.volume.stats.rebuiltReads.Add(1)
		if pc.at != from || len(pc.dst) != to-from {
			copy(pc.dst, shards[pc.shard][pc.at-from:])
		}
	}
	return nil
}

// lost is the error of a row, or of the whole object, with too few good shards.
func (o *Object) lost(row int64, have int, spoilt []error) error {
	return &LostError{Object: o.name, Row: row, Have: have, Need: o.lay.k, Err: errors.Join(spoilt...)}
}
