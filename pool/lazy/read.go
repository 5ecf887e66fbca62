package lazy

import (
	"fmt"
	"io"
)

// ReadAt reads as io.ReaderAt says.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read lazy disk: %w", ErrRange)
	}
	if off >= d.header.size {
		return 0, io.EOF
	}
	var end error
	if int64(len(p)) > d.header.size-off {
		p, end = p[:d.header.size-off], io.EOF
	}
	done := 0
	for done < len(p) {
		at := off + int64(done)
		n, own := d.run(at, off+int64(len(p)))
		part := p[done : done+int(n)]
		var err error
		if own {
			err = readFull(d.files.Data, part, at)
		} else {
			err = d.readBase(part, at)
		}
		if err != nil {
			return done, fmt.Errorf("read lazy disk at %d: %w", at, err)
		}
		done += int(n)
	}
	return done, end
}

// run is how many bytes from off on are alike, up to end, and whether they are
// the disk's own.
func (d *Disk) run(off, end int64) (n int64, own bool) {
	first := off / d.header.block
	blocks, own := d.bits.run(first, (end+d.header.block-1)/d.header.block)
	return min((first+blocks)*d.header.block, end) - off, own
}

// readBase reads from the base, and zeros beyond its end.
func (d *Disk) readBase(p []byte, off int64) error {
	n := max(0, min(int64(len(p)), d.header.baseSize-off))
	clear(p[n:])
	if n == 0 {
		return nil
	}
	d.baseRead.Add(n)
	d.opts.Metrics.demanded(n)
	return readFull(d.base, p[:n], off)
}

// noWaitReader is a file that knows which reads need no waiting.
type noWaitReader interface {
	ReadNoWait(p []byte, off int64) bool
}

// ReadNoWait reads all of p if it is the disk's own and needs no waiting, and
// says whether it did.
func (d *Disk) ReadNoWait(p []byte, off int64) bool {
	r, ok := d.files.Data.(noWaitReader)
	return ok && d.owns(off, int64(len(p))) && r.ReadNoWait(p, off)
}

// owns says whether a range is the disk's own.
func (d *Disk) owns(off, n int64) bool {
	if n == 0 || d.check(off, n) != nil {
		return false
	}
	run, own := d.run(off, off+n)
	return own && run == n
}

// sender is a file that can hand bytes to a socket.
type sender interface {
	Resident(off, n int64) bool
	SendTo(socket int, off, n int64) (int64, error)
}

// Resident says whether a range is the disk's own and in memory.
func (d *Disk) Resident(off, n int64) bool {
	s, ok := d.files.Data.(sender)
	return ok && d.owns(off, n) && s.Resident(off, n)
}

// SendTo hands bytes of a range that is Resident to a socket.
func (d *Disk) SendTo(socket int, off, n int64) (int64, error) {
	s, ok := d.files.Data.(sender)
	if !ok || !d.owns(off, n) {
		return 0, fmt.Errorf("send of lazy disk at %d: %w", off, ErrRange)
	}
	return s.SendTo(socket, off, n)
}
