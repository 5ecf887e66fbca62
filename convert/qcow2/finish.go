package qcow2

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// Finish writes the tables that are left and the header, and makes the file
// durable. All writes must have returned; the Writer is of no use afterwards.
func (w *Writer) Finish(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	w.err = errFinished
	if err := w.finish(ctx); err != nil {
		w.err = fmt.Errorf("finish qcow2: %w", err)
		return w.err
	}
	return nil
}

var errFinished = errors.New("the image is finished")

func (w *Writer) finish(ctx context.Context) error {
	if err := w.pack.write(w.dst, w.pack.finish(&w.alloc)); err != nil {
		return err
	}
	l1, err := w.tables.finish(w.dst, &w.alloc)
	if err != nil {
		return err
	}
	writes, refTable, refClusters, err := w.alloc.finish()
	if err != nil {
		return err
	}
	for _, t := range append(writes, tableWrite{0, w.header(l1, refTable, refClusters)}) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := w.dst.WriteAt(t.data, t.off); err != nil {
			return err
		}
	}
	// A block device has its length already.
	if err := w.dst.Truncate(w.alloc.next << w.geo.clusterBits); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return w.dst.Sync()
}

// header is the header's cluster; see the type header for its fields.
func (w *Writer) header(l1, refTable, refClusters int64) []byte {
	p := make([]byte, w.geo.clusterSize)
	putHeader(p, w.geo, l1, refTable, refClusters)
	if w.opts.Compression == Zstd {
		binary.BigEndian.PutUint64(p[72:], uint64(incompatCompression))
		p[104] = compressionZstd
	}
	return p
}

// putHeader writes the header of an image without compression, and after it an
// end of header extensions, which is zero.
func putHeader(p []byte, g *geometry, l1, refTable, refClusters int64) {
	be := binary.BigEndian
	be.PutUint32(p[0:], magic)
	be.PutUint32(p[4:], 3)
	be.PutUint32(p[20:], uint32(g.clusterBits))
	be.PutUint64(p[24:], uint64(g.size))
	be.PutUint32(p[36:], uint32(g.l1Entries))
	be.PutUint64(p[40:], uint64(l1))
	be.PutUint64(p[48:], uint64(refTable))
	be.PutUint32(p[56:], uint32(refClusters))
	be.PutUint32(p[96:], refcountOrder16)
	be.PutUint32(p[100:], headerLenNow)
}
