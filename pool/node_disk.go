package pool

import (
	"context"
	"iter"
	"slices"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool/provision"
)

// Disk gives the disk of an id.
func (n *Node) Disk(id DiskID) (Disk, error) { return n.disks.get(id) }

// Disks lists disks.
func (n *Node) Disks(q Query) iter.Seq[Disk] { return n.disks.list(q) }

func (n *Node) readyDisk(id DiskID) (Disk, error) {
	d, err := n.disks.get(id)
	return d, checkReady(diskKind, string(id), d.Status, err)
}

// DiskEdit says what becomes of a disk; what is nil stays.
type DiskEdit struct {
	Edit
	PlacementPolicy *[]byte
}

func (e DiskEdit) apply(d *Disk) error {
	edit(&d.Meta, e.Edit)
	set(&d.PlacementPolicy, e.PlacementPolicy)
	return nil
}

// UpdateDisk changes what is known of a disk.
func (n *Node) UpdateDisk(ctx context.Context, id DiskID, e DiskEdit) (Disk, error) {
	return n.disks.change(ctx, id, e.apply)
}

// CheckDisk says what UpdateDisk would say against an edit, as far as that can be
// said beforehand.
func (n *Node) CheckDisk(id DiskID, e DiskEdit) error { return n.disks.check(id, e.apply) }

// QuickDisk says whether a reserved disk is likely to be made in milliseconds: it
// is empty or lazy, one is ready, or its golden base is there to be shared.
func (n *Node) QuickDisk(d Disk) bool {
	o, err := n.origin(d.Source)
	if err != nil || o.manifest == (cas.ManifestID{}) {
		return true
	}
	if o.pool != "" && n.mayTake(d) {
		if s, err := n.stock.Stat(o.pool); err == nil && s.Ready > 0 {
			return true
		}
	}
	all := n.candidates(d)
	if len(all) > 0 {
		if ways := n.methods(all[0], d, o); len(ways) > 0 && ways[0] == provision.Lazy {
			return true
		}
	}
	based := slices.ContainsFunc(all, func(dir *provision.Directory) bool { return dir.HasBase(o.manifest) })
	return based && n.quick(d)
}
