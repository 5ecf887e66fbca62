package qcow2

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/blockmill/blockmill/blockio"
)

const (
	// gatherLimit is the most bytes to read at once for several runs.
	gatherLimit = 1 << 20
	// gatherSlack is how many unneeded bytes between runs are read for the sake of
	// one larger read: a few small tables.
	gatherSlack = 16 << 10
	// gatherPlain is the length from which on plain runs are read by themselves,
	// straight to their place, unless they go on where others end.
	gatherPlain = 256 << 10
)

// ReadAt reads guest bytes. A large read is fast: runs that are contiguous in
// the file are one read straight into p, and compressed clusters and short runs
// that are packed together are read at once, in whatever order they stand there.
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
	read := rd.read
	if im.seen != nil {
		read = rd.readSpans
	}
	if err := read(p[:n], off); err != nil {
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
	// runs are those to be read, batch the first of them that are one read, in the
	// host range [from, to).
	runs, batch []run
	from, to    int64
	spans       *spanReader // nil until first used
}

func newReader(im *Image) *reader {
	rd := &reader{im: im, walker: newWalker(im, tablePage)}
	rd.take = rd.takeRun
	return rd
}

func (rd *reader) read(p []byte, off int64) error {
	rd.p, rd.off, rd.runs = p, off, rd.runs[:0]
	defer func() { rd.p = nil }()
	if err := rd.walker.walk(context.Background(), off, off+int64(len(p)), rd.take); err != nil {
		return err
	}
	return rd.readRuns()
}

// readRuns reads the runs, those that stand together at once.
func (rd *reader) readRuns() error {
	slices.SortFunc(rd.runs, func(a, b run) int { return cmp.Compare(a.host, b.host) })
	for rest := rd.runs; len(rest) > 0; rest = rest[len(rd.batch):] {
		rd.gather(rest)
		if err := rd.readBatch(); err != nil {
			return err
		}
	}
	return nil
}

func (rd *reader) takeRun(r run) error {
	switch r.kind {
	case plain:
		r.hostLen = r.length
		rd.runs = append(rd.runs, r)
	case compressed:
		rd.runs = append(rd.runs, r)
	default:
		clear(rd.guest(r))
	}
	return nil
}

// guest is a run's place in p.
func (rd *reader) guest(r run) []byte { return rd.p[r.off-rd.off:][:r.length] }

// gather makes a batch of the first runs, which come in the order of the file.
func (rd *reader) gather(runs []run) {
	first := runs[0]
	rd.batch, rd.from, rd.to = runs[:1], first.host, first.host+first.hostLen
	if first.kind == plain && first.length >= gatherPlain {
		return
	}
	for n := 1; n < len(runs); n++ {
		r := runs[n]
		to := max(rd.to, r.host+r.hostLen)
		if r.host > rd.to+gatherSlack || to-rd.from > gatherLimit {
			return
		}
		rd.batch, rd.to = runs[:n+1], to
	}
}

// readBatch reads the batch, and brings it to its places.
func (rd *reader) readBatch() error {
	if r := rd.batch[0]; len(rd.batch) == 1 && r.kind == plain {
		return rd.im.readData(rd.guest(r), r.host)
	}
	// Whole blocks, for direct I/O.
	from := rd.from &^ (blockio.BlockSize - 1)
	to := min((rd.to+blockio.BlockSize-1)&^(blockio.BlockSize-1), rd.im.geo.fileSize)
	loan, host := rd.im.buffers.take(int(to - from))
	defer rd.im.buffers.give(loan)
	if err := rd.im.readData(host, from); err != nil {
		return fmt.Errorf("clusters: %w", err)
	}
	for _, r := range rd.batch {
		if r.kind == plain {
			copy(rd.guest(r), host[r.host-from:])
			continue
		}
		blockio.Yield()
		if err := rd.decode(r, host[r.host-from:][:r.hostLen]); err != nil {
			return err
		}
	}
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
