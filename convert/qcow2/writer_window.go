package qcow2

import (
	"fmt"
	"slices"

	"github.com/blockmill/blockmill/blockio"
)

// packBatch is how much of a window's compressed clusters is placed at once:
// enough to keep a window's together, whatever other windows do.
const packBatch = 1 << 20

// windowWriter is the write of one window.
type windowWriter struct {
	w       *Writer
	p       []byte
	first   int64    // number of the first cluster
	entries []uint64 // the L2 entries to be
	plain   []int64  // clusters of the window to be stored as they are
	tables  []int64  // narrow L2 tables of the window that have entries
}

// writeWindow stores the clusters of p, which is one window from off on.
func (w *Writer) writeWindow(p []byte, off int64) error {
	g := w.geo
	ww := windowWriter{
		w: w, p: p, first: off >> g.clusterBits,
		entries: make([]uint64, (int64(len(p))+g.clusterSize-1)>>g.clusterBits),
	}
	var err error
	if w.opts.Compression == None {
		for i := range ww.entries {
			if !blockio.IsZero(ww.cluster(int64(i))) {
				ww.plain = append(ww.plain, int64(i))
			}
		}
	} else {
		err = ww.compress()
	}
	if err != nil {
		return err
	}
	return ww.store()
}

// cluster is cluster i of the window; the image's last may be short.
func (ww *windowWriter) cluster(i int64) []byte {
	size := ww.w.geo.clusterSize
	return ww.p[i*size : min((i+1)*size, int64(len(ww.p)))]
}

// compress compresses the window's clusters and packs them; those that do not
// shrink are left to be stored plain.
func (ww *windowWriter) compress() error {
	w, size := ww.w, ww.w.geo.clusterSize
	codec, ok := w.codecs.Get().(compressor)
	if !ok {
		var err error
		if codec, err = newCompressor(w.opts.Compression); err != nil {
			return err
		}
	}
	defer w.codecs.Put(codec)
	loan, memory := w.buffers.take(packBatch + int(size) + blockio.BlockSize)
	defer w.buffers.give(loan)
	batch := batch{ww: ww, data: memory[:0]}
	for i := range int64(len(ww.entries)) {
		cluster := ww.cluster(i)
		if blockio.IsZero(cluster) {
			continue
		}
		blockio.Yield()
		if int64(len(cluster)) < size {
			cluster = append(slices.Clip(cluster), make([]byte, size-int64(len(cluster)))...)
		}
		data, shorter, err := codec.compress(batch.data, cluster)
		if err != nil {
			return err
		}
		if !shorter {
			ww.plain = append(ww.plain, i)
			continue
		}
		if err := batch.add(i, data); err != nil {
			return err
		}
	}
	return batch.place()
}

// batch are compressed clusters of a window that get their places together.
type batch struct {
	ww       *windowWriter
	data     []byte
	clusters []int64
	ends     []int // in data
}

// add takes a cluster's stream, which data has now at its end.
func (b *batch) add(cluster int64, data []byte) error {
	b.data = data
	b.clusters = append(b.clusters, cluster)
	b.ends = append(b.ends, len(data))
	if len(data) < packBatch {
		return nil
	}
	return b.place()
}

// place packs the streams, and writes the chunks that are full.
func (b *batch) place() error {
	w := b.ww.w
	full, err := b.pack()
	if writeErr := w.pack.write(w.dst, full); err == nil {
		err = writeErr
	}
	b.data, b.clusters, b.ends = b.data[:0], b.clusters[:0], b.ends[:0]
	return err
}

func (b *batch) pack() (full []chunk, err error) {
	w := b.ww.w
	w.mu.Lock()
	defer w.mu.Unlock()
	start := 0
	for i, end := range b.ends {
		host, more, err := w.pack.add(&w.alloc, b.data[start:end])
		full = append(full, more...)
		if err != nil {
			return full, err
		}
		b.ww.entries[b.clusters[i]] = w.geo.compressedEntry(host, int64(end-start))
		start = end
	}
	return full, nil
}

// compressedEntry is the L2 entry of a stream of n bytes at host.
func (g *geometry) compressedEntry(host, n int64) uint64 {
	sectors := (host+n-1)/sectorSize - host/sectorSize
	return compressedBit | uint64(sectors)<<(62-(g.clusterBits-8)) | uint64(host)
}

// store places the plain clusters, all in one piece, and the entries, then
// writes both.
func (ww *windowWriter) store() error {
	ww.tables = ww.narrowTables()
	first, blocks, err := ww.place()
	if err != nil {
		return err
	}
	w, g := ww.w, ww.w.geo
	for _, t := range blocks {
		if _, err := w.dst.WriteAt(t.data, t.off); err != nil {
			return fmt.Errorf("refcount blocks: %w", err)
		}
	}
	if len(ww.plain)+len(ww.tables) == 0 {
		return nil
	}
	loan, memory := w.buffers.take(packBatch)
	defer w.buffers.give(loan)
	out := &stage{dst: w.dst, memory: memory}
	out.moveTo(first << g.clusterBits)
	if err := ww.writePlain(out); err != nil {
		return err
	}
	table := make([]byte, g.clusterSize)
	for _, t := range ww.tables {
		clear(table)
		putEntries(table, ww.tableEntries(t))
		if err := out.write(table); err != nil {
			return err
		}
	}
	return out.flush()
}

// writePlain writes the plain clusters, those that follow one another in one
// piece.
func (ww *windowWriter) writePlain(out *stage) error {
	size := ww.w.geo.clusterSize
	for i := 0; i < len(ww.plain); {
		n := 1
		for i+n < len(ww.plain) && ww.plain[i+n] == ww.plain[i]+int64(n) {
			n++
		}
		from := ww.plain[i] * size
		to := from + int64(n)*size
		if err := out.write(ww.p[from:min(to, int64(len(ww.p)))]); err != nil {
			return err
		}
		if short := to - int64(len(ww.p)); short > 0 {
			if err := out.write(make([]byte, short)); err != nil {
				return err
			}
		}
		i += n
	}
	return nil
}

// narrowTables are the L2 tables of the window that will have entries, by
// their number in it, where tables are not larger than windows.
func (ww *windowWriter) narrowTables() []int64 {
	if !ww.w.tables.narrow() {
		return nil
	}
	used := make([]bool, (len(ww.entries)-1)>>ww.w.geo.l2Bits+1)
	for _, i := range ww.plain {
		used[i>>ww.w.geo.l2Bits] = true
	}
	var tables []int64
	for t := range int64(len(used)) {
		if used[t] || anySet(ww.tableEntries(t)) {
			tables = append(tables, t)
		}
	}
	return tables
}

func (ww *windowWriter) tableEntries(t int64) []uint64 {
	n := int64(1) << ww.w.geo.l2Bits
	return ww.entries[t*n : min((t+1)*n, int64(len(ww.entries)))]
}

func anySet(entries []uint64) bool {
	return slices.ContainsFunc(entries, func(e uint64) bool { return e != 0 })
}

// place allocates the plain clusters and, behind them, the narrow tables, and
// sets the entries of both. It returns the refcount blocks that are complete.
func (ww *windowWriter) place() (first int64, blocks []tableWrite, err error) {
	w, g := ww.w, ww.w.geo
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, nil, w.err
	}
	plain := int64(len(ww.plain))
	if first, err = w.alloc.clusters(plain + int64(len(ww.tables))); err != nil {
		return 0, nil, err
	}
	for k, i := range ww.plain {
		ww.entries[i] = uint64(first+int64(k))<<g.clusterBits | copiedBit
	}
	for k, t := range ww.tables {
		w.tables.setL1(ww.first>>g.l2Bits+t, (first+plain+int64(k))<<g.clusterBits)
	}
	if !w.tables.narrow() && anySet(ww.entries) {
		if err := w.tables.put(w.dst, &w.alloc, ww.first, ww.entries); err != nil {
			return 0, nil, err
		}
	}
	blocks, err = w.alloc.complete(w.pack.floor(&w.alloc))
	return first, blocks, err
}
