package qcow2

import (
	"fmt"
	"math/bits"

	"github.com/blockmill/blockmill/convert/badimage"
)

// l2Entry is one entry of an L2 table. bitmap is its second half where the
// image has extended L2 entries.
//
//	bits   standard cluster
//	    0  reads as zeros (version 3, not extended)
//	 1- 8  reserved, zero
//	 9-55  host offset, or zero
//	56-61  reserved, zero
//	   62  zero
//	   63  the cluster's refcount is one
//
// A compressed cluster has bit 62 set and bit 63 clear; with
// x = 62 - (cluster_bits - 8), bits 0 to x-1 are the host offset in bytes, and
// bits x to 61 the number of sectors beyond the first.
type l2Entry struct {
	word, bitmap uint64
}

const (
	zeroBit       = 1 << 0
	compressedBit = 1 << 62
	l2Reserved    = 1<<62 - 1<<56 | 1<<9 - 1<<1
	subclusters   = 32
	allSub        = 1<<subclusters - 1
)

// cluster is what an L2 entry says of a guest cluster. host is 0 when no
// place is given.
type cluster struct {
	host int64
	// length is the byte length of the compressed data, cut at the end of
	// the file; 0 for standard clusters.
	length int64
	// alloc and zero say which of 32 subclusters are stored, and which read
	// as zeros by mark; in images without subclusters all or none.
	alloc, zero uint32
	copied      bool
}

func (c cluster) compressed() bool { return c.length != 0 }

// cluster decodes an entry. need is how many bytes of the guest cluster lie
// inside the virtual size: these must lie inside the file too, where they are
// stored. A non-empty want says what is wrong with the entry.
func (g *geometry) cluster(e l2Entry, need int64) (c cluster, want string) {
	switch {
	case e.word|e.bitmap == 0:
		return cluster{}, ""
	case e.word&compressedBit != 0:
		return g.compressedCluster(e)
	case e.word&l2Reserved != 0:
		return cluster{}, "reserved bits 1-8 and 56-61 zero"
	}
	c.host = int64(e.word & offsetMask)
	c.copied = e.word&copiedBit != 0
	if g.extended {
		c.alloc, c.zero = uint32(e.bitmap), uint32(e.bitmap>>subclusters)
	} else if e.word&zeroBit != 0 {
		c.zero = allSub
	} else if c.host != 0 {
		c.alloc = allSub
	}
	return c, g.checkStandard(e, c, need)
}

func (g *geometry) checkStandard(e l2Entry, c cluster, need int64) (want string) {
	switch {
	case e.word&zeroBit != 0 && g.version < 3:
		return "bit 0 zero in version 2"
	case e.word&zeroBit != 0 && g.extended:
		return "bit 0 zero with extended L2 entries"
	case c.alloc&c.zero != 0:
		return "no subcluster both allocated and zero"
	case c.host == 0 && (c.alloc != 0 || c.copied):
		return "a host offset where data is allocated"
	case c.host == 0:
		return ""
	case c.host&(g.clusterSize-1) != 0:
		return "a host offset that is a multiple of the cluster size " + badimage.Int(g.clusterSize)
	case c.host >= g.fileSize:
		return "a cluster inside the file of " + badimage.Int(g.fileSize)
	}
	stored := int64(subclusters-bits.LeadingZeros32(c.alloc)) * (g.clusterSize / subclusters)
	if c.host+min(stored, need) > g.fileSize {
		return "a whole cluster inside the file of " + badimage.Int(g.fileSize)
	}
	return ""
}

func (g *geometry) compressedCluster(e l2Entry) (c cluster, want string) {
	x := 62 - (g.clusterBits - 8)
	host := e.word & (1<<x - 1)
	sectors := int64(e.word & (1<<62 - 1) >> x)
	c.host = int64(host)
	end := c.host&^(sectorSize-1) + (sectors+1)*sectorSize
	switch {
	case e.word&copiedBit != 0:
		return c, "bit 63 zero in a compressed cluster"
	case e.bitmap != 0:
		return c, "no subclusters in a compressed cluster"
	case host>>56 != 0:
		return c, "offset bits above 55 zero"
	case c.host < g.clusterSize:
		return c, "compressed data behind the header"
	case c.host >= g.fileSize:
		return c, "compressed data inside the file of " + badimage.Int(g.fileSize)
	case end >= g.fileSize+sectorSize:
		// Writers count whole sectors and do not pad the last.
		return c, "compressed sectors inside the file of " + badimage.Int(g.fileSize)
	}
	c.length = min(end, g.fileSize) - c.host
	return c, ""
}

// badL2 refuses entry index of the L2 table at table, that of L1 entry l1.
func (g *geometry) badL2(e l2Entry, l1, table, index int64, want string) error {
	value := badimage.Hex(e.word)
	if g.extended {
		value += " " + badimage.Hex(e.bitmap)
	}
	return corrupt(fmt.Sprintf("L2 entry %d of L1 entry %d", index, l1), table+index*g.entrySize, value, want)
}
