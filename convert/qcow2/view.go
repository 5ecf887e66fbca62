package qcow2

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"sync"

	"github.com/blockmill/blockmill/blockio"
)

// Content is the guest bytes of a View, which must not change.
type Content interface {
	io.ReaderAt
	blockio.Mapper
	Size() int64
}

// View is the file of an image that was never written: an image of version 3
// without compression, whose bytes are computed from the guest's as they are
// read. Its size is known beforehand, so that it can be sent where nothing can
// be written twice.
//
// The file has the header, the refcount table and blocks, the L1 table, the L2
// tables and then the data clusters in the guest's order. What the content calls a
// hole or zero has no cluster.
//
// A View is safe for concurrent use. It keeps 16 bytes of memory for each L2
// table, and the clusters of the few tables used last.
type View struct {
	ctx  context.Context // of the content's extents
	src  Content
	geo  *geometry
	plan viewPlan

	mu     sync.Mutex
	recent []viewClusters // the last used first; guarded by mu
}

// viewPlan is where what is in the file, in clusters: each part begins where the
// one before it ends.
type viewPlan struct {
	refTable, refBlocks, l1, l2, data int64
	total                             int64
	refTableClusters                  int64
	tables                            []viewTable // those with data
}

// viewTable is an L2 table: its L1 entry, and the number of its first data cluster
// among all.
type viewTable struct{ entry, first int64 }

// viewClusters are the guest clusters of a table that hold data.
type viewClusters struct {
	table    int
	clusters []int64
}

// viewRecent is how many tables' clusters a view keeps.
const viewRecent = 4

// NewView plans the file of the content, by a walk over its extents. The context
// bounds the use of the view.
func NewView(ctx context.Context, src Content) (*View, error) {
	size := src.Size()
	if size < 0 || size%sectorSize != 0 {
		return nil, fmt.Errorf("view as qcow2: size %d: want a multiple of 512", size)
	}
	g := newGeometry(header{version: 3, size: uint64(size), clusterBits: uint32(bits.TrailingZeros64(defaultClusterSize))}, 0)
	g.l1Entries = g.l1Needed()
	if g.l1Entries*8 > maxL1Bytes {
		return nil, fmt.Errorf("view as qcow2: size %d: more than %d, the most with clusters of %d", size, maxL1Bytes/8<<g.l1Shift(), g.clusterSize)
	}
	v := &View{ctx: ctx, src: src, geo: g}
	count := int64(0)
	for cluster, err := range v.dataClusters(0, size) {
		if err != nil {
			return nil, fmt.Errorf("view as qcow2: %w", err)
		}
		entry := cluster >> g.l2Bits
		if n := len(v.plan.tables); n == 0 || v.plan.tables[n-1].entry != entry {
			v.plan.tables = append(v.plan.tables, viewTable{entry, count})
		}
		count++
	}
	v.plan.place(g, count)
	return v, nil
}

// place gives each part of the file its place.
func (p *viewPlan) place(g *geometry, data int64) {
	perBlock := g.clusterSize * 8 >> refcountOrder16
	l1 := (g.l1Entries*8 + g.clusterSize - 1) >> g.clusterBits
	rest := 1 + l1 + int64(len(p.tables)) + data
	table, blocks := int64(1), int64(1)
	for {
		b := (rest + table + blocks + perBlock - 1) / perBlock
		t := (b*8 + g.clusterSize - 1) >> g.clusterBits
		if b == blocks && t == table {
			break
		}
		table, blocks = max(t, table), max(b, blocks)
	}
	p.refTableClusters = table
	p.refTable = 1
	p.refBlocks = p.refTable + table
	p.l1 = p.refBlocks + blocks
	p.l2 = p.l1 + l1
	p.data = p.l2 + int64(len(p.tables))
	p.total = p.data + data
}

// Size is the length of the file in bytes.
func (v *View) Size() int64 { return v.plan.total << v.geo.clusterBits }

// ReadAt reads the file's bytes.
func (v *View) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read view: offset %d: below 0", off)
	}
	for done := 0; done < len(p); {
		at := off + int64(done)
		if at >= v.Size() {
			return done, io.EOF
		}
		n, err := v.read(p[done:], at>>v.geo.clusterBits, at&(v.geo.clusterSize-1))
		done += n
		if err != nil {
			return done, fmt.Errorf("read view at %d: %w", at, err)
		}
	}
	return len(p), nil
}

// read reads what it can at an offset into a cluster.
func (v *View) read(p []byte, cluster, at int64) (int, error) {
	if cluster >= v.plan.data {
		return v.readData(p, cluster-v.plan.data, at)
	}
	meta, err := v.metadata(cluster)
	if err != nil {
		return 0, err
	}
	return copy(p, meta[at:]), nil
}

// metadata computes a cluster before those of data.
func (v *View) metadata(cluster int64) ([]byte, error) {
	p := make([]byte, v.geo.clusterSize)
	switch plan := &v.plan; {
	case cluster < plan.refTable:
		putHeader(p, v.geo, plan.l1<<v.geo.clusterBits, plan.refTable<<v.geo.clusterBits, plan.refTableClusters)
	case cluster < plan.refBlocks:
		v.putWords(p, cluster-plan.refTable, plan.l1-plan.refBlocks, func(i int64) uint64 {
			return uint64(plan.refBlocks+i) << v.geo.clusterBits
		})
	case cluster < plan.l1:
		perBlock := v.geo.clusterSize * 8 >> refcountOrder16
		from := (cluster - plan.refBlocks) * perBlock
		for i := range min(perBlock, max(0, plan.total-from)) {
			binary.BigEndian.PutUint16(p[i*2:], 1)
		}
	case cluster < plan.l2:
		v.putWords(p, cluster-plan.l1, v.geo.l1Entries, v.l1Word)
	default:
		return p, v.putL2(p, int(cluster-plan.l2))
	}
	return p, nil
}

// putWords writes those of count words that stand in the cluster of the given
// number.
func (v *View) putWords(p []byte, cluster, count int64, word func(i int64) uint64) {
	per := v.geo.clusterSize / 8
	for i := range min(per, max(0, count-cluster*per)) {
		binary.BigEndian.PutUint64(p[i*8:], word(cluster*per+i))
	}
}

// l1Word is an entry of the L1 table.
func (v *View) l1Word(entry int64) uint64 {
	i, ok := slices.BinarySearchFunc(v.plan.tables, entry, func(t viewTable, entry int64) int { return int(t.entry - entry) })
	if !ok {
		return 0
	}
	return copiedBit | uint64(v.plan.l2+int64(i))<<v.geo.clusterBits
}

// putL2 writes an L2 table.
func (v *View) putL2(p []byte, table int) error {
	clusters, err := v.clustersOf(table)
	if err != nil {
		return err
	}
	first := v.plan.tables[table].first
	for i, c := range clusters {
		at := c & (1<<v.geo.l2Bits - 1)
		binary.BigEndian.PutUint64(p[at*8:], copiedBit|uint64(v.plan.data+first+int64(i))<<v.geo.clusterBits)
	}
	return nil
}

// readData reads data clusters from the given number on, as far as they follow
// one another in the guest too.
func (v *View) readData(p []byte, number, at int64) (int, error) {
	table, found := slices.BinarySearchFunc(v.plan.tables, number, func(t viewTable, number int64) int { return int(t.first - number) })
	if !found {
		table--
	}
	clusters, err := v.clustersOf(table)
	if err != nil {
		return 0, err
	}
	i := number - v.plan.tables[table].first
	if i >= int64(len(clusters)) {
		return 0, errViewChanged
	}
	run := int64(1)
	for i+run < int64(len(clusters)) && clusters[i+run] == clusters[i]+run && run<<v.geo.clusterBits-at < int64(len(p)) {
		run++
	}
	p = p[:min(int64(len(p)), run<<v.geo.clusterBits-at)]
	from := clusters[i]<<v.geo.clusterBits + at
	inside := p[:max(0, min(int64(len(p)), v.src.Size()-from))]
	if n, err := v.src.ReadAt(inside, from); n < len(inside) {
		return 0, fmt.Errorf("read guest at %d: %w", from, noEOF(err))
	}
	clear(p[len(inside):]) // the guest ends inside its last cluster
	return len(p), nil
}

// noEOF is the error of a source that is shorter than it says.
func noEOF(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

var errViewChanged = errors.New("the extents of the content have changed")

// clustersOf lists the guest clusters of a table that hold data.
func (v *View) clustersOf(table int) ([]int64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	at := slices.IndexFunc(v.recent, func(c viewClusters) bool { return c.table == table })
	if at < 0 {
		c := viewClusters{table: table}
		from := v.plan.tables[table].entry << v.geo.l1Shift()
		for cluster, err := range v.dataClusters(from, min(v.geo.size, from+1<<v.geo.l1Shift())) {
			if err != nil {
				return nil, err
			}
			c.clusters = append(c.clusters, cluster)
		}
		v.recent = append(v.recent, c)
		at = len(v.recent) - 1
	}
	c := v.recent[at]
	v.recent = slices.Insert(slices.Delete(v.recent, at, at+1), 0, c)
	v.recent = v.recent[:min(len(v.recent), viewRecent)]
	return c.clusters, nil
}

// dataClusters yields the guest clusters of a range that hold data.
func (v *View) dataClusters(from, to int64) func(yield func(int64, error) bool) {
	return func(yield func(int64, error) bool) {
		next := from >> v.geo.clusterBits // the first that was not yielded
		for e, err := range v.src.Extents(v.ctx, from, to-from) {
			if err != nil {
				yield(0, err)
				return
			}
			if e.State != blockio.Data {
				continue
			}
			next = max(next, e.Offset>>v.geo.clusterBits)
			for ; next<<v.geo.clusterBits < e.End(); next++ {
				if !yield(next, nil) {
					return
				}
			}
		}
	}
}
