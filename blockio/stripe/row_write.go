package stripe

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/xxh64"
)

// writer writes one object to all shards.
type writer struct {
	// Immutable.
	volume *Volume
	state  *nameState
	name   string
	gen    generation
	shards []shardWriter // one for each member

	writes blockio.Writes

	mu       sync.Mutex
	finished bool // committed or aborted
}

var (
	errFinished = errors.New("the writer is finished")
	errTooLarge = errors.New("the object is too large")
)

// Unit implements blockio.Writer: whole rows, since parity is made of whole
// rows and each byte is written once.
func (w *writer) Unit() int { return int(w.volume.geo.rowSize()) }

// Reserve implements blockio.Reserver.
func (w *writer) Reserve(size int64) {
	rows := (size + w.volume.geo.rowSize() - 1) / w.volume.geo.rowSize()
	for i := range w.shards {
		if s := &w.shards[i]; s.w != nil {
			blockio.Reserve(s.w, rows*int64(w.volume.geo.unit))
		}
	}
}

// WriteAt implements blockio.Writer.
func (w *writer) WriteAt(p []byte, off int64) (int, error) {
	if err := w.writeAt(p, off); err != nil {
		w.writes.Break()
		return 0, fmt.Errorf("write %s at %d: %w", w.name, off, err)
	}
	w.writes.Done(len(p))
	w.volume.stats.bytesWritten.Add(int64(len(p)))
	return len(p), nil
}

func (w *writer) writeAt(p []byte, off int64) error {
	if err := w.accept(p, off); err != nil {
		return err
	}
	geo := w.volume.geo
	row := off / geo.rowSize()
	if n := len(p) / geo.unit * geo.unit; geo.shards() == 1 && n > 0 {
		// One shard has rows in one piece.
		if err := w.writeRun(p[:n], row); err != nil {
			return err
		}
		p, row = p[n:], row+int64(n/geo.unit)
	}
	for ; len(p) > 0; row++ {
		n := int(min(int64(len(p)), geo.rowSize()))
		if err := w.writeRow(p[:n], row); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// accept checks a write against the rules of blockio.Writer.
func (w *writer) accept(p []byte, off int64) error {
	if off > maxObject-int64(len(p)) {
		return errTooLarge
	}
	if err := w.writes.Accept(off, len(p), w.Unit()); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.finished {
		return errFinished
	}
	return nil
}

// writeRun writes full rows of a single shard at once.
func (w *writer) writeRun(p []byte, row int64) error {
	unit := w.volume.geo.unit
	for i, sum := range sumUnits(slices.Collect(slices.Chunk(p, unit))) {
		w.shards[0].sum(row+int64(i), sum)
	}
	w.shards[0].write(p, row*int64(unit))
	return w.enough()
}

// writeRow writes a row, full or the tail: parity is computed, and then each
// shard's unit hashed and written, all shards at once.
func (w *writer) writeRow(p []byte, row int64) error {
	geo := w.volume.geo
	unit := geo.unit
	if int64(len(p)) < geo.rowSize() {
		unit = geo.tailUnit(len(p))
	}
	spare := geo.m
	if len(p)%unit != 0 {
		spare++ // for the unit that the data ends in
	}
	var buf []byte
	if spare > 0 {
		var release func()
		buf, release = w.volume.scratch.take(spare * unit)
		defer release()
	}
	units, err := w.volume.encodeRow(p, unit, buf)
	if err != nil {
		return err
	}
	sums := sumUnits(units)
	var wg sync.WaitGroup
	for i, u := range units {
		if s := &w.shards[i]; s.failure() == nil {
			wg.Go(func() {
				s.sum(row, sums[i])
				s.write(u, row*int64(geo.unit))
			})
		}
	}
	wg.Wait()
	return w.enough()
}

// sumUnits is the checksums of some units.
func sumUnits(units [][]byte) []uint64 {
	sums := make([]uint64, len(units))
	xxh64.SumMany(sums, units)
	return sums
}

// encodeRow is the units of a row, data and parity. buf is memory for parity
// and, where the data ends inside a unit, for that unit, first.
func (v *Volume) encodeRow(p []byte, unit int, buf []byte) ([][]byte, error) {
	units := make([][]byte, v.geo.shards())
	for i := range units {
		switch n := min(unit, len(p)); {
		case i >= v.geo.k:
			units[i], buf = buf[:unit:unit], buf[unit:]
		case n == unit:
			units[i], p = p[:unit:unit], p[unit:]
		case n > 0:
			units[i], buf = buf[:unit:unit], buf[unit:]
			clear(units[i][copy(units[i], p):])
			p = nil
		default:
			// Only a tail row ends this early, and then its units are small.
			units[i] = v.zeros[:unit:unit]
		}
	}
	if v.enc == nil {
		return units, nil
	}
	return units, v.enc.Encode(units)
}

// write writes to the shard, or spoils it.
func (s *shardWriter) write(p []byte, off int64) {
	if s.failure() != nil {
		return
	}
	if _, err := s.w.WriteAt(p, off); err != nil {
		s.fail(s.member.note(err))
	}
}

// enough is an error when too few shards are left to ever commit.
func (w *writer) enough() error {
	alive, errs := 0, []error{}
	for i := range w.shards {
		if err := w.shards[i].failure(); err != nil {
			errs = append(errs, err)
		} else {
			alive++
		}
	}
	if need := w.volume.geo.writeQuorum(); alive < need {
		return degraded(alive, need, errors.Join(errs...))
	}
	return nil
}
