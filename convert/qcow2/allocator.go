package qcow2

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// allocator hands out the file's clusters in ascending order and counts their
// uses. Refcounts of 16 bits are kept only until no more can be added to a
// block; complete blocks are taken out to be written.
type allocator struct {
	geo      *geometry
	perBlock int64 // clusters that a refcount block describes
	next     int64 // first cluster that was never handed out
	limit    int64 // clusters that a refcount table of the largest size describes
	open     map[int64][]uint16
	table    []int64 // offsets of the blocks written, 0 where there is none
}

const refcountOrder16 = 4

func newAllocator(g *geometry) allocator {
	a := allocator{geo: g, perBlock: g.clusterSize * 8 >> refcountOrder16, open: map[int64][]uint16{}}
	a.limit = min(maxRefTableBytes/8*a.perBlock, math.MaxInt64>>g.clusterBits)
	// Compressed clusters have fewer bits for their offset than others.
	a.limit = min(a.limit, int64(1)<<(min(56, 62-(g.clusterBits-8))-g.clusterBits))
	a.next = 1 // the header
	a.use(0)
	return a
}

// extent hands out n clusters that follow one another, with no use yet.
func (a *allocator) extent(n int64) (first int64, err error) {
	if n > a.limit-a.next {
		return 0, fmt.Errorf("allocate %d clusters of %d: the file has grown to %d, the most for this cluster size", n, a.geo.clusterSize, a.next)
	}
	first = a.next
	a.next += n
	return first, nil
}

// clusters hands out n clusters for one use.
func (a *allocator) clusters(n int64) (first int64, err error) {
	first, err = a.extent(n)
	if err != nil {
		return 0, err
	}
	for i := range n {
		a.use(first + i)
	}
	return first, nil
}

// use counts a use of a cluster.
func (a *allocator) use(cluster int64) {
	index := cluster / a.perBlock
	counts := a.open[index]
	if counts == nil {
		counts = make([]uint16, a.perBlock)
		a.open[index] = counts
	}
	counts[cluster%a.perBlock]++
}

// tableWrite is a write that is due.
type tableWrite struct {
	off  int64
	data []byte
}

// complete takes out the blocks for clusters below floor, to be written.
func (a *allocator) complete(floor int64) ([]tableWrite, error) {
	var done []int64
	for index := range a.open {
		if (index+1)*a.perBlock <= floor {
			done = append(done, index)
		}
	}
	if len(done) == 0 {
		return nil, nil
	}
	slices.Sort(done)
	first, err := a.clusters(int64(len(done)))
	if err != nil {
		return nil, err
	}
	return []tableWrite{a.blocks(done, first)}, nil
}

// blocks places blocks at consecutive clusters, and forgets their counts.
func (a *allocator) blocks(indexes []int64, first int64) tableWrite {
	out := tableWrite{off: first << a.geo.clusterBits, data: make([]byte, 0, int64(len(indexes))<<a.geo.clusterBits)}
	for i, index := range indexes {
		for _, count := range a.open[index] {
			out.data = binary.BigEndian.AppendUint16(out.data, count)
		}
		delete(a.open, index)
		for int64(len(a.table)) <= index {
			a.table = append(a.table, 0)
		}
		a.table[index] = (first + int64(i)) << a.geo.clusterBits
	}
	return out
}

// finish places the refcount table and the blocks that are left, which count
// themselves and the table too. It returns where the table is and its
// clusters.
func (a *allocator) finish() (writes []tableWrite, table, clusters int64, err error) {
	blocks := int64(0)
	for {
		total := a.next + clusters + blocks
		regions := (total + a.perBlock - 1) / a.perBlock
		c, b := (regions*8+a.geo.clusterSize-1)>>a.geo.clusterBits, a.left(total)
		if c == clusters && b == blocks {
			break
		}
		clusters, blocks = max(c, clusters), max(b, blocks)
	}
	first, err := a.clusters(clusters + blocks)
	if err != nil {
		return nil, 0, 0, err
	}
	left := make([]int64, 0, blocks)
	for index := range a.open {
		left = append(left, index)
	}
	slices.Sort(left)
	writes = []tableWrite{a.blocks(left, first+clusters)}
	data := make([]byte, clusters<<a.geo.clusterBits)
	for i, off := range a.table {
		binary.BigEndian.PutUint64(data[i*8:], uint64(off))
	}
	table = first << a.geo.clusterBits
	return append(writes, tableWrite{table, data}), table, clusters, nil
}

// left is how many blocks are yet to be written once all clusters from next up
// to total are used too.
func (a *allocator) left(total int64) int64 {
	n := int64(len(a.open))
	for index := a.next / a.perBlock; index*a.perBlock < total; index++ {
		if a.open[index] == nil {
			n++
		}
	}
	return n
}
