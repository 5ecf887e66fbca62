package qcow2

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/blockmill/blockmill/convert/badimage"
)

// The bitmap directory (specification, section "Bitmaps"). Entries follow one
// another, each padded to a multiple of 8.
//
//	offset size field
//	     0    8 bitmap_table_offset
//	     8    4 bitmap_table_size (entries of 8 bytes)
//	    12    4 flags
//	    16    1 type
//	    17    1 granularity_bits
//	    18    2 name_size
//	    20    4 extra_data_size
//	    24    … extra data, name
const (
	bitmapEntryLen     = 24
	maxBitmapEntry     = 1048 // 24 and a name of QEMU's limit, padded
	maxBitmapDirectory = maxBitmaps * maxBitmapEntry
	maxBitmapTable     = 128 << 20 / 8 // entries
	maxBitmapName      = 1023

	bitmapInUse         = 1 // what the entry says may be out of date
	bitmapFlagsKnown    = 7
	bitmapDirtyTracking = 1
	bitmapReserved      = 0xff<<56 | 0x1fe
)

// checkBitmaps walks the bitmap directory and the bitmaps' tables, and claims
// all that they occupy. Bitmaps are not read: they say nothing of the guest's
// bytes.
func (c *checker) checkBitmaps(ctx context.Context) error {
	im := c.im
	b := im.ext.bitmaps
	if b.count == 0 {
		return nil
	}
	start, size := b.directoryOffset, int64(b.directorySize)
	if err := im.geo.checkPlace("bitmap_directory_offset", b.fieldOffset+16, start, size); err != nil {
		return err
	}
	if err := c.claimMeta("bitmap directory", b.fieldOffset+16, int64(start), size); err != nil {
		return err
	}
	pos, end := int64(start), int64(start)+size
	for i := range int64(b.count) {
		if err := ctx.Err(); err != nil {
			return err
		}
		field := fmt.Sprintf("bitmap directory entry %d", i)
		if pos > end-bitmapEntryLen {
			return corrupt(field, pos, badimage.Int(pos), "an entry inside the directory")
		}
		var e [bitmapEntryLen]byte
		if err := im.readTable(e[:], pos); err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		if err := c.checkBitmap(ctx, field, pos, e); err != nil {
			return err
		}
		next := pos + bitmapEntryLen + int64(binary.BigEndian.Uint32(e[20:])) + int64(binary.BigEndian.Uint16(e[18:]))
		pos = (next + 7) &^ 7
		if pos > end {
			return corrupt(field, pos, "its end", "an entry inside the directory")
		}
	}
	if pos != end {
		return corrupt("bitmap_directory_size", b.fieldOffset+8, badimage.Int(size), badimage.Int(pos-int64(start))+" for its entries")
	}
	return nil
}

func (c *checker) checkBitmap(ctx context.Context, field string, pos int64, e [bitmapEntryLen]byte) error {
	be := binary.BigEndian
	tableOffset, entries, flags := be.Uint64(e[0:]), int64(be.Uint32(e[8:])), be.Uint32(e[12:])
	switch {
	case flags&^bitmapFlagsKnown != 0:
		return corrupt(field+" flags", pos+12, badimage.Hex(flags), "reserved bits zero")
	case e[16] != bitmapDirtyTracking:
		return corrupt(field+" type", pos+16, badimage.Int(e[16]), "1")
	case e[17] > 63:
		return corrupt(field+" granularity_bits", pos+17, badimage.Int(e[17]), "0 to 63")
	case be.Uint16(e[18:]) == 0 || be.Uint16(e[18:]) > maxBitmapName:
		return corrupt(field+" name_size", pos+18, badimage.Int(be.Uint16(e[18:])), "1 to 1023")
	case entries > maxBitmapTable:
		return corrupt(field+" bitmap_table_size", pos+8, badimage.Int(entries), "at most "+badimage.Int(maxBitmapTable))
	}
	if want := c.im.geo.bitmapClusters(e[17]); flags&bitmapInUse == 0 && entries != want {
		return corrupt(field+" bitmap_table_size", pos+8, badimage.Int(entries), badimage.Int(want)+" for the virtual size")
	}
	if err := c.im.geo.checkPlace(field+" bitmap_table_offset", pos, tableOffset, entries*8); err != nil {
		return err
	}
	if err := c.claimMeta(field+" table", pos, int64(tableOffset), entries*8); err != nil {
		return err
	}
	return c.checkBitmapTable(ctx, field, int64(tableOffset), entries)
}

// bitmapClusters is how many clusters a bitmap of the virtual size takes.
func (g *geometry) bitmapClusters(granularityBits uint8) int64 {
	if g.size == 0 {
		return 0
	}
	bits := (g.size-1)>>granularityBits + 1
	return (bits-1)>>(3+g.clusterBits) + 1
}

// checkBitmapTable walks the table's entries: bit 0 says all ones where there
// is no offset, bits 9-55 are the offset of a cluster, the others are zero.
func (c *checker) checkBitmapTable(ctx context.Context, field string, table, entries int64) error {
	g := c.im.geo
	return c.im.eachWord(ctx, table, entries, func(i int64, word uint64) error {
		off := int64(word & offsetMask)
		name, at := fmt.Sprintf("%s table entry %d", field, i), table+i*8
		switch {
		case word&bitmapReserved != 0 || off != 0 && word&1 != 0:
			return corrupt(name, at, badimage.Hex(word), "reserved bits zero")
		case off == 0:
			return nil
		case off%g.clusterSize != 0 || off >= g.fileSize:
			return corrupt(name, at, badimage.Hex(word), "a cluster inside the file")
		}
		return c.claimMeta(name, at, off, g.clusterSize)
	})
}
