package qcow2

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/blockmill/blockmill/convert/badimage"
)

// The snapshot table (specification, section "Snapshots"). Entries follow one
// another, each padded to a multiple of 8.
//
//	offset size field
//	     0    8 L1 table offset
//	     8    4 L1 table entries
//	    12    2 length of the ID
//	    14    2 length of the name
//	    16   20 times, size of the VM state
//	    36    4 length of the extra data
//	    40    … extra data, ID, name
const (
	snapshotEntryLen  = 40
	snapshotExtraV3   = 16   // VM state size and disk size, required in version 3
	maxSnapshotExtra  = 1024 // QEMU's limit
	maxSnapshotsBytes = 64 << 20
)

// checkSnapshots walks the snapshot table, and claims it and the snapshots'
// L1 tables. What these lead to is not read: only the active layer is.
func (c *checker) checkSnapshots(ctx context.Context) error {
	im, g := c.im, c.im.geo
	start := int64(im.hdr.snapshotsOffset)
	pos := start
	for i := range int64(im.hdr.nbSnapshots) {
		if err := ctx.Err(); err != nil {
			return err
		}
		field := fmt.Sprintf("snapshot table entry %d", i)
		if pos > g.fileSize-snapshotEntryLen {
			return corrupt(field, pos, badimage.Int(pos), "an entry inside the file of "+badimage.Int(g.fileSize))
		}
		var e [snapshotEntryLen]byte
		if err := im.readTable(e[:], pos); err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		extra := binary.BigEndian.Uint32(e[36:])
		switch {
		case extra > maxSnapshotExtra:
			return corrupt(field+" extra data size", pos+36, badimage.Int(extra), "at most 1024")
		case im.hdr.version >= 3 && extra < snapshotExtraV3:
			return corrupt(field+" extra data size", pos+36, badimage.Int(extra), "16 at least in version 3")
		}
		if err := c.claimSnapshotL1(field, pos, e); err != nil {
			return err
		}
		pos += snapshotEntryLen + int64(extra) + int64(binary.BigEndian.Uint16(e[12:])) + int64(binary.BigEndian.Uint16(e[14:]))
		if pos > g.fileSize {
			return corrupt(field, pos, "its end", "an entry inside the file of "+badimage.Int(g.fileSize))
		}
		pos = (pos + 7) &^ 7
		if pos-start > maxSnapshotsBytes {
			return corrupt("snapshot table", start, badimage.Int(pos-start)+" bytes", "at most 64 MiB")
		}
	}
	return c.claimMeta("snapshot table", start, start, pos-start)
}

func (c *checker) claimSnapshotL1(field string, pos int64, e [snapshotEntryLen]byte) error {
	l1Offset, l1Entries := binary.BigEndian.Uint64(e[0:]), int64(binary.BigEndian.Uint32(e[8:]))
	if l1Entries*8 > maxL1Bytes {
		return corrupt(field+" L1 size", pos+8, badimage.Int(l1Entries), "at most "+badimage.Int(maxL1Bytes/8))
	}
	if err := c.im.geo.checkPlace(field+" L1 table offset", pos, l1Offset, l1Entries*8); err != nil {
		return err
	}
	return c.claimMeta(field+" L1 table", pos, int64(l1Offset), l1Entries*8)
}
