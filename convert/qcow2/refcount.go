package qcow2

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/blockmill/blockmill/convert/badimage"
)

// checkRefcountTable walks the refcount table, and claims the blocks. An
// entry has the offset of a block in bits 9-63, or is zero.
func (c *checker) checkRefcountTable(ctx context.Context) error {
	g, h := c.im.geo, c.im.hdr
	table := int64(h.refcountTableOffset)
	err := c.im.eachWord(ctx, table, c.im.refcountBlocks(), func(i int64, word uint64) error {
		field, at := fmt.Sprintf("refcount table entry %d", i), table+i*8
		if err := g.checkRefcountEntry(field, at, word); err != nil {
			return err
		}
		return c.claimMeta(field, at, int64(word), g.clusterSize)
	})
	if err != nil && !badimage.Is(err) {
		return fmt.Errorf("check refcount table: %w", err)
	}
	return err
}

// refcountBlocks is how many entries the refcount table has.
func (im *Image) refcountBlocks() int64 {
	return int64(im.hdr.refcountTableClusters) << im.geo.clusterBits / 8
}

func (g *geometry) checkRefcountEntry(field string, at int64, word uint64) error {
	switch {
	case word&refReserved != 0:
		return corrupt(field, at, badimage.Hex(word), "reserved bits 0-8 zero")
	case word&uint64(g.clusterSize-1) != 0:
		return corrupt(field, at, badimage.Hex(word), "a block at a multiple of the cluster size "+badimage.Int(g.clusterSize))
	case word > uint64(g.fileSize) || int64(word) > g.fileSize-g.clusterSize:
		return corrupt(field, at, badimage.Hex(word), "a block inside the file of "+badimage.Int(g.fileSize))
	}
	return nil
}

// checkRefcounts compares the refcounts of the claimed clusters: none that is
// used may have 0, none that a table says to have 1 may have another. Those
// of a dirty image say nothing.
func (c *checker) checkRefcounts(ctx context.Context) error {
	if c.im.hdr.incompatible.has(incompatDirty) {
		return nil
	}
	counts := refcounts{im: c.im, from: -1}
	for _, key := range c.claims.keys() {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := c.claims.pages[key]
		for word := range p.meta {
			for used := p.meta[word] | p.data[word] | p.streams[word]; used != 0; used &= used - 1 {
				bit := bits.TrailingZeros64(used)
				cluster := key*pageClusters + int64(word*64+bit)
				if cluster >= c.claims.hi {
					return nil
				}
				if err := counts.check(cluster, p.copied[word]>>bit&1 != 0); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// refcounts reads refcounts, best in ascending order.
type refcounts struct {
	im    *Image
	from  int64  // the first cluster of page, -1 without one
	n     int64  // clusters of page
	ahead int64  // the first block that is not to be read ahead yet
	at    int64  // offset of page in the file, 0 for a block that is not there
	used  bool   // a reader saw the block, which has no 0, and page has nothing
	one   bitSet // then, which of its counts are 1; nil for all
	page  [tablePage]byte
}

func (r *refcounts) check(cluster int64, copied bool) error {
	if r.from < 0 || cluster < r.from || cluster >= r.from+r.n {
		if err := r.load(cluster); err != nil {
			return fmt.Errorf("check refcounts: %w", err)
		}
	}
	if r.used {
		if i := cluster % (r.im.geo.clusterSize * 8 >> r.im.hdr.refcountOrder); !copied || r.one == nil || r.one.has(i) {
			return nil
		}
		if err := r.read(cluster); err != nil {
			return fmt.Errorf("check refcounts: %w", err)
		}
	}
	var count uint64
	if r.at != 0 {
		count = refcount(r.page[:], r.im.hdr.refcountOrder, cluster-r.from)
	}
	if count == 0 || copied && count != 1 {
		want := "1 at least for a cluster in use"
		if count != 0 {
			want = "1 where bit 63 of its table entry is set"
		}
		offset := badimage.NoOffset
		if r.at != 0 {
			offset = r.at + (cluster-r.from)<<r.im.hdr.refcountOrder/8
		}
		return corrupt(fmt.Sprintf("refcount of the host cluster at %d", cluster<<r.im.geo.clusterBits), offset, badimage.Int(count), want)
	}
	return nil
}

// load has the piece of a refcount block that has the cluster's.
func (r *refcounts) load(cluster int64) error {
	perBlock := r.im.geo.clusterSize * 8 >> r.im.hdr.refcountOrder
	r.one, r.used = r.im.seen.allUsed(cluster / perBlock)
	if r.used {
		r.from, r.n = cluster-cluster%perBlock, perBlock
		return nil
	}
	return r.read(cluster)
}

// read reads the piece of a refcount block that has the cluster's.
func (r *refcounts) read(cluster int64) error {
	g, order := r.im.geo, r.im.hdr.refcountOrder
	pageLen := min(tablePage, g.clusterSize)
	r.n = pageLen * 8 >> order
	r.from = cluster - cluster%r.n
	perBlock := g.clusterSize * 8 >> order
	index := cluster / perBlock
	r.at, r.used = 0, false
	if index >= r.im.refcountBlocks() {
		return nil
	}
	block, err := r.block(index)
	if err != nil || block == 0 {
		return err
	}
	if err := r.readAhead(index); err != nil {
		return err
	}
	r.at = block + r.from%perBlock/r.n*pageLen
	return r.im.readLeaf(r.page[:pageLen], r.at)
}

// block reads an entry of the refcount table: the offset of a block, or 0.
func (r *refcounts) block(index int64) (int64, error) {
	var raw [8]byte
	err := r.im.readTable(raw[:], int64(r.im.hdr.refcountTableOffset)+index*8)
	return int64(binary.BigEndian.Uint64(raw[:])), err
}

// readAhead begins to read the blocks after the one of the index, where blocks are
// as short as pages.
func (r *refcounts) readAhead(index int64) error {
	g := r.im.geo
	if r.im.paged.ahead == nil || g.clusterSize > tablePage {
		return nil
	}
	end := min(index+leavesAhead, r.im.refcountBlocks())
	for r.ahead = max(r.ahead, index); r.ahead < end; r.ahead++ {
		block, err := r.block(r.ahead)
		if err != nil {
			return err
		}
		if _, ok := r.im.seen.allUsed(r.ahead); !ok {
			r.im.prefetchLeaf(block)
		}
	}
	return nil
}

// refcount is refcount i of a page. Those of less than a byte begin at its least
// significant bit.
func refcount(page []byte, order uint32, i int64) uint64 {
	switch order {
	case 0, 1, 2:
		perByte := int64(8 >> order)
		width := uint(1) << order
		return uint64(page[i/perByte]) >> (uint(i%perByte) * width) & (1<<width - 1)
	case 3:
		return uint64(page[i])
	case 4:
		return uint64(binary.BigEndian.Uint16(page[i*2:]))
	case 5:
		return uint64(binary.BigEndian.Uint32(page[i*4:]))
	default:
		return binary.BigEndian.Uint64(page[i*8:])
	}
}
