package qcow2

import (
	"context"
	"errors"
	"fmt"
	"io"
)

var errStopped = errors.New("stopped by the caller")

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
	s := im.scratch.take()
	defer im.scratch.give(s)
	rd := reader{im: im, s: s, p: p[:n], off: off}
	err := s.walker.walk(context.Background(), im, off, off+int64(n), rd.take)
	if err == nil {
		err = rd.flush()
	}
	if err != nil {
		return 0, err
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// gatherSlack is how many unneeded bytes between compressed clusters are read
// for the sake of one larger read.
const gatherSlack = 64 << 10

// reader is one ReadAt under way.
type reader struct {
	im  *Image
	s   *scratch
	p   []byte // the guest bytes from off
	off int64
	// The host range of s.batch.
	from, to int64
}

// take handles the next run.
func (rd *reader) take(r run) error {
	dst := rd.p[r.off-rd.off:][:r.length]
	switch r.kind {
	case plain:
		return readFull(rd.im.src, dst, r.host)
	case compressed:
		return rd.gather(r)
	default:
		clear(dst)
		return nil
	}
}

// gather puts a compressed run into the batch, and decodes the batch before
// when the two cannot be one read.
func (rd *reader) gather(r run) error {
	end := r.host + r.hostLen
	if len(rd.s.batch) > 0 &&
		(r.host < rd.from || r.host > rd.to+gatherSlack || max(rd.to, end)-rd.from > rd.s.gatherMax(rd.im.geo)) {
		if err := rd.flush(); err != nil {
			return err
		}
	}
	if len(rd.s.batch) == 0 {
		rd.from, rd.to = r.host, end
	}
	rd.to = max(rd.to, end)
	rd.s.batch = append(rd.s.batch, r)
	return nil
}

// flush reads and decodes the batch.
func (rd *reader) flush() error {
	if len(rd.s.batch) == 0 {
		return nil
	}
	// Whole blocks, so that a direct reader needs no copy.
	from := rd.from &^ (blockAlign - 1)
	to := min((rd.to+blockAlign-1)&^(blockAlign-1), rd.im.geo.fileSize)
	host := rd.s.hostBuffer(int(to - from))
	if err := readFull(rd.im.src, host, from); err != nil {
		return fmt.Errorf("compressed clusters: %w", err)
	}
	for _, r := range rd.s.batch {
		if err := rd.decode(r, host[r.host-from:][:r.hostLen]); err != nil {
			return err
		}
	}
	rd.s.batch = rd.s.batch[:0]
	return nil
}

// decode inflates one cluster to its place in p, by way of a buffer where
// only a part of it is wanted.
func (rd *reader) decode(r run, src []byte) error {
	size := rd.im.geo.clusterSize
	dst := rd.p[r.off-rd.off:][:r.length]
	whole := dst
	if r.length != size {
		whole = rd.s.clusterBuffer(size)
	}
	if err := rd.im.decoder.decode(whole, src); err != nil {
		return corrupt(fmt.Sprintf("compressed cluster of guest offset %d", r.off&^(size-1)), r.host, "", "").Because(err)
	}
	if r.length != size {
		copy(dst, whole[r.off&(size-1):])
	}
	return nil
}
