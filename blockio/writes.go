package blockio

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// Writes holds the writes of one object against the rules of Writer. It is for
// those who implement that; the zero value works.
type Writes struct {
	written atomic.Int64 // bytes, each written once
	tail    atomic.Int64 // end of the one write of uneven length, else 0
	broken  atomic.Bool  // a write or the commit failed
}

var (
	errUnit   = errors.New("not at a multiple of the unit")
	errTail   = errors.New("an uneven length that does not end the object")
	errBroken = errors.New("an earlier write failed")
)

// Accept checks a write of n bytes that is about to be done.
func (w *Writes) Accept(off int64, n, unit int) error {
	if off < 0 || off%int64(unit) != 0 {
		return errUnit
	}
	if n%unit != 0 && !w.tail.CompareAndSwap(0, off+int64(n)) {
		return errTail
	}
	return nil
}

// Done counts a write that was done.
func (w *Writes) Done(n int) { w.written.Add(int64(n)) }

// Break says that a write or the commit failed: the object is never complete.
func (w *Writes) Break() { w.broken.Store(true) }

// Complete checks that an object of the given size was written whole.
func (w *Writes) Complete(size int64) error {
	if w.broken.Load() {
		return errBroken
	}
	if tail := w.tail.Load(); tail != 0 && tail != size {
		return fmt.Errorf("size %d, last write to %d: %w", size, tail, errTail)
	}
	if n := w.written.Load(); n != size {
		return fmt.Errorf("%d bytes of %d written", n, size)
	}
	return nil
}
