package qcow2

import (
	"fmt"
	"math"

	"github.com/blockmill/blockmill/convert/badimage"
)

// geometry is what the header's fields mean for addresses. It is immutable.
type geometry struct {
	version     uint32
	fileSize    int64
	size        int64 // virtual, bytes
	clusterBits uint
	clusterSize int64
	extended    bool // extended L2 entries
	entrySize   int64
	l2Bits      uint // log2 of the entries of an L2 table
	l1Offset    int64
	l1Entries   int64
}

// newGeometry wants a header whose cluster_bits were checked.
func newGeometry(h header, fileSize int64) *geometry {
	g := &geometry{
		version:     h.version,
		fileSize:    fileSize,
		size:        int64(h.size),
		clusterBits: uint(h.clusterBits),
		clusterSize: 1 << h.clusterBits,
		entrySize:   8,
		l2Bits:      uint(h.clusterBits) - 3,
		l1Offset:    int64(h.l1TableOffset),
		l1Entries:   int64(h.l1Size),
	}
	if h.incompatible.has(incompatExtendedL2) {
		g.extended = true
		g.entrySize = 16
		g.l2Bits--
	}
	return g
}

// l1Shift is log2 of the guest bytes under one L1 entry.
func (g *geometry) l1Shift() uint { return g.clusterBits + g.l2Bits }

// l1Needed is how many L1 entries the virtual size takes.
func (g *geometry) l1Needed() int64 {
	if g.size == 0 {
		return 0
	}
	return (g.size-1)>>g.l1Shift() + 1
}

// hostClusters is the number of clusters of the file, a short last one
// included.
func (g *geometry) hostClusters() int64 {
	return (g.fileSize + g.clusterSize - 1) >> g.clusterBits
}

// checkPlace refuses a table that is not aligned, not inside the file, or
// over the header. A table of length 0 may have the offset 0.
func (g *geometry) checkPlace(field string, fieldOffset int64, offset uint64, length int64) error {
	switch {
	case offset == 0 && length == 0:
		return nil
	case offset%uint64(g.clusterSize) != 0:
		return corrupt(field, fieldOffset, badimage.Int(offset), "a multiple of the cluster size "+badimage.Int(g.clusterSize))
	case offset > math.MaxInt64:
		return corrupt(field, fieldOffset, badimage.Int(offset), "less than 2^63")
	case length == 0:
		return nil
	case offset == 0:
		return corrupt(field, fieldOffset, badimage.Int(offset), "a place behind the header")
	case offset > uint64(g.fileSize) || length > g.fileSize-int64(offset):
		return corrupt(field, fieldOffset, badimage.Int(offset), fmt.Sprintf("%d bytes inside the file of %d", length, g.fileSize))
	}
	return nil
}

// l1Entry is one entry of the active L1 table.
//
//	bits   meaning
//	 0- 8  reserved, zero
//	 9-55  offset of the L2 table, or zero
//	56-62  reserved, zero
//	   63  the table's refcount is one
type l1Entry uint64

const (
	copiedBit   = 1 << 63
	offsetMask  = 1<<56 - 1<<9
	l1Reserved  = 1<<63 - 1<<56 | 1<<9 - 1
	refReserved = 1<<9 - 1
)

// l2Table is the offset of the L2 table, 0 when there is none. index is the
// entry's, for errors.
func (g *geometry) l2Table(e l1Entry, index int64) (int64, error) {
	off := int64(e & offsetMask)
	switch {
	case e == 0:
		return 0, nil
	case e&l1Reserved != 0:
		return 0, g.badL1(e, index, "reserved bits 0-8 and 56-62 zero")
	case off == 0:
		return 0, g.badL1(e, index, "an offset with bit 63")
	case off&(g.clusterSize-1) != 0:
		return 0, g.badL1(e, index, "an L2 table at a multiple of the cluster size "+badimage.Int(g.clusterSize))
	case off > g.fileSize-g.clusterSize:
		return 0, g.badL1(e, index, "an L2 table inside the file of "+badimage.Int(g.fileSize))
	}
	return off, nil
}

func (g *geometry) badL1(e l1Entry, index int64, want string) error {
	return corrupt(fmt.Sprintf("L1 entry %d", index), g.l1Offset+index*8, badimage.Hex(uint64(e)), want)
}
