package qcow2

import (
	"context"
	"fmt"
	"io"

	"github.com/blockmill/blockmill/blockio"
)

const (
	// gatherLimit is the most bytes of compressed clusters to read at once,
	// if they are more than one.
	gatherLimit = 1 << 20
	// gatherSlack is how many unneeded bytes between compressed clusters are
	// read for the sake of one larger read.
	gatherSlack = 64 << 10
)

// ReadAt reads guest bytes. A large read is fast: runs that are contiguous in
// the file are one read straight into p, and compressed clusters that are
// packed together are read at once, then decoded.
func (im *Image) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at %d: negative offset", off)
	}
	if off >= im.geo.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), im.geo.size-off))
	rd, ok := im.readers.Get().(*reader)
	if !ok {
		rd = newReader(im)
	}
	defer im.readers.Put(rd)
	if err := rd.read(p[:n], off); err != nil {
		return 0, err
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// reader is a ReadAt under way.
type reader struct {
	im     *Image
	walker *walker
	take   func(run) error // the method value, made once

	p   []byte // the guest bytes from off
	off int64
	// batch are compressed runs yet to be read, in the host range [from, to).
	batch    []run
	from, to int64
}

func newReader(im *Image) *reader {
	rd := &reader{im: im, walker: newWalker(im, tablePage)}
	rd.take = rd.takeRun
	return rd
}

func (rd *reader) read(p []byte, off int64) error {
	rd.p, rd.off, rd.batch = p, off, rd.batch[:0]
	defer func() { rd.p = nil }()
	if err := rd.walker.walk(context.Background(), off, off+int64(len(p)), rd.take); err != nil {
		return err
	}
	return rd.flush()
}

func (rd *reader) takeRun(r run) error {
	switch r.kind {
	case plain:
		return readFull(rd.im.src, rd.guest(r), r.host)
	case compressed:
		return rd.gather(r)
	default:
		clear(rd.guest(r))
		return nil
	}
}

// guest is a run's place in p.
func (rd *reader) guest(r run) []byte { return rd.p[r.off-rd.off:][:r.length] }

// gather puts a compressed run into the batch, and decodes the batch before
// when the two are not to be one read.
func (rd *reader) gather(r run) error {
	end := r.host + r.hostLen
	apart := r.host < rd.from || r.host > rd.to+gatherSlack || max(rd.to, end)-rd.from > gatherLimit
	if len(rd.batch) > 0 && apart {
		if err := rd.flush(); err != nil {
			return err
		}
	}
	if len(rd.batch) == 0 {
		rd.from, rd.to = r.host, end
	}
	rd.to = max(rd.to, end)
	rd.batch = append(rd.batch, r)
	return nil
}

// flush reads and decodes the batch.
func (rd *reader) flush() error {
	if len(rd.batch) == 0 {
		return nil
	}
	// Whole blocks, for direct I/O.
	from := rd.from &^ (blockio.BlockSize - 1)
	to := min((rd.to+blockio.BlockSize-1)&^(blockio.BlockSize-1), rd.im.geo.fileSize)
	loan, host := rd.im.buffers.take(int(to - from))
	defer rd.im.buffers.give(loan)
	if err := readFull(rd.im.src, host, from); err != nil {
		return fmt.Errorf("compressed clusters: %w", err)
	}
	for _, r := range rd.batch {
		blockio.Yield()
		if err := rd.decode(r, host[r.host-from:][:r.hostLen]); err != nil {
			return err
		}
	}
	rd.batch = rd.batch[:0]
	return nil
}

// decode decodes one cluster to its place in p, by way of a buffer where only
// a part of it is wanted.
func (rd *reader) decode(r run, src []byte) error {
	size := rd.im.geo.clusterSize
	dst := rd.guest(r)
	whole := dst
	if r.length != size {
		whole = make([]byte, size)
	}
	if err := rd.im.decoder.decode(whole, src); err != nil {
		return corrupt(fmt.Sprintf("compressed cluster of guest offset %d", r.off&^(size-1)), r.host, "", "").Because(err)
	}
	if r.length != size {
		copy(dst, whole[r.off&(size-1):])
	}
	return nil
}
