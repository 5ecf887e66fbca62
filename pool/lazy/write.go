package lazy

import (
	"errors"
	"fmt"
)

// WriteAt writes all of p at off. The bytes are durable after Sync.
func (d *Disk) WriteAt(p []byte, off int64) (int, error) {
	if err := d.check(off, int64(len(p))); err != nil {
		return 0, fmt.Errorf("write lazy disk: %w", err)
	}
	done := 0
	for done < len(p) {
		at := off + int64(done)
		n := min(len(p)-done, int(regionSize-at%regionSize))
		if err := d.writeRegion(p[done:done+n], at); err != nil {
			return done, fmt.Errorf("write lazy disk at %d: %w", at, err)
		}
		done += n
	}
	return done, nil
}

// lock locks the region of an offset.
func (d *Disk) lock(off int64) (unlock func()) {
	mu := &d.regions[off/regionSize%regionLocks]
	mu.Lock()
	return mu.Unlock
}

// writeRegion writes inside one region.
func (d *Disk) writeRegion(p []byte, off int64) error {
	defer d.lock(off)()
	end := off + int64(len(p))
	first, last := off/d.header.block, (end-1)/d.header.block
	for _, block := range edges(first, last) {
		if err := d.fillAround(block, off, end); err != nil {
			return err
		}
	}
	if _, err := d.files.Data.WriteAt(p, off); err != nil {
		return err
	}
	d.bits.add(first, last+1)
	return nil
}

// edges are the blocks that a range may cover in part.
func edges(first, last int64) []int64 {
	if first == last {
		return []int64{first}
	}
	return []int64{first, last}
}

// fillAround brings over what a block has of the base outside of the range from
// off up to end, if the block is not the disk's own: the range is about to be
// written, and then all of the block is.
func (d *Disk) fillAround(block, off, end int64) error {
	from := block * d.header.block
	to := min(from+d.header.block, d.header.size)
	if off <= from && end >= to || d.bits.has(block) {
		return nil
	}
	p := make([]byte, to-from)
	if err := d.readBase(p, from); err != nil {
		return err
	}
	if off > from {
		if _, err := d.files.Data.WriteAt(p[:off-from], from); err != nil {
			return err
		}
	}
	if end < to {
		if _, err := d.files.Data.WriteAt(p[end-from:], end); err != nil {
			return err
		}
	}
	return nil
}

// PunchHole makes a range read as zeros and gives its space back.
func (d *Disk) PunchHole(off, n int64) error { return d.zero(off, n, false) }

// ZeroRange makes a range read as zeros and keeps its space;
// errors.ErrUnsupported where the file cannot.
func (d *Disk) ZeroRange(off, n int64) error { return d.zero(off, n, true) }

func (d *Disk) zero(off, n int64, keep bool) error {
	if err := d.check(off, n); err != nil {
		return fmt.Errorf("zero lazy disk: %w", err)
	}
	for end := off + n; off < end; {
		n := min(end-off, regionSize-off%regionSize)
		if err := d.zeroRegion(off, n, keep); err != nil {
			return fmt.Errorf("zero lazy disk at %d: %w", off, err)
		}
		off += n
	}
	return nil
}

// zeroRegion zeroes inside one region, without a look at what is there but for
// blocks that are covered in part.
func (d *Disk) zeroRegion(off, n int64, keep bool) error {
	defer d.lock(off)()
	first, last := off/d.header.block, (off+n-1)/d.header.block
	for _, block := range edges(first, last) {
		if err := d.fillAround(block, off, off+n); err != nil {
			return err
		}
	}
	if err := d.zeroFile(off, n, keep); err != nil {
		return err
	}
	d.bits.add(first, last+1)
	return nil
}

// puncher and zeroer are files that can zero without being sent the zeros.
type puncher interface{ PunchHole(off, n int64) error }

type zeroer interface{ ZeroRange(off, n int64) error }

// zeroFile zeroes a range of the disk's file.
func (d *Disk) zeroFile(off, n int64, keep bool) error {
	err := errors.ErrUnsupported
	if keep {
		if z, ok := d.files.Data.(zeroer); ok {
			err = z.ZeroRange(off, n)
		}
		return err
	}
	if p, ok := d.files.Data.(puncher); ok {
		err = p.PunchHole(off, n)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		_, err = d.files.Data.WriteAt(make([]byte, n), off)
	}
	return err
}

// noWaitWriter is a file that knows which writes need no waiting.
type noWaitWriter interface {
	WriteNoWait(p []byte, off int64) (bool, error)
}

// WriteNoWait writes whole blocks of one region if that needs no waiting, and
// says whether it did.
func (d *Disk) WriteNoWait(p []byte, off int64) (bool, error) {
	w, ok := d.files.Data.(noWaitWriter)
	n := int64(len(p))
	if !ok || n == 0 || d.check(off, n) != nil || off%d.header.block != 0 || n%d.header.block != 0 || off%regionSize+n > regionSize {
		return false, nil
	}
	mu := &d.regions[off/regionSize%regionLocks]
	if !mu.TryLock() {
		return false, nil
	}
	defer mu.Unlock()
	done, err := w.WriteNoWait(p, off)
	if done {
		d.bits.add(off/d.header.block, (off+n)/d.header.block)
	}
	return done, err
}
