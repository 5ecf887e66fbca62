package pool

import (
	"context"
	"iter"
)

// Disk gives the disk of an id.
func (n *Node) Disk(id DiskID) (Disk, error) { return n.disks.get(id) }

// Disks lists disks.
func (n *Node) Disks(q Query) iter.Seq[Disk] { return n.disks.list(q) }

func (n *Node) readyDisk(id DiskID) (Disk, error) {
	d, err := n.disks.get(id)
	return d, checkReady(diskKind, string(id), d.Status, err)
}

// UpdateDisk changes what is known of a disk.
func (n *Node) UpdateDisk(ctx context.Context, id DiskID, e Edit) (Disk, error) {
	return n.disks.change(ctx, id, func(d *Disk) error {
		edit(&d.Meta, e)
		return nil
	})
}

// CheckDisk says what UpdateDisk would say against an edit, as far as that can be
// said beforehand.
func (n *Node) CheckDisk(id DiskID, e Edit) error {
	return n.disks.check(id, func(d *Disk) error {
		edit(&d.Meta, e)
		return nil
	})
}
