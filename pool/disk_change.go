package pool

import (
	"context"
	"fmt"

	"github.com/blockmill/blockmill/pool/provision"
)

// GrowDisk gives a disk a larger size, which nothing may have open: who has it
// would go on with the size, and the map, of before. The files grow before the
// record says so. The hydration of a lazy disk stops meanwhile.
func (n *Node) GrowDisk(ctx context.Context, id DiskID, size int64) (Disk, error) {
	d, release, err := n.UseDisk(id, true)
	if err != nil {
		return d, err
	}
	defer release()
	n.hydration.pause(id) // which has it open
	if d.lazy() {
		defer n.hydrate(id)
	}
	admit, err := n.open.bar(id)
	if err != nil {
		return d, fmt.Errorf("grow disk %s: %w", id, err)
	}
	defer admit()
	grown, err := n.disks.change(ctx, id, func(d *Disk) error {
		if err := (origin{least: d.Size}).fits(size); err != nil {
			return err
		}
		dir, err := n.directory(d.Dir)
		if err == nil {
			err = dir.Grow(ctx, d.backing(), size)
		}
		d.Size = size
		return err
	})
	if err != nil {
		return d, fmt.Errorf("grow disk %s: %w", id, err)
	}
	return grown, nil
}

// DeleteDisk removes a disk, which nothing may have open for writing. When it
// returns, the disk is gone; what of its files could not be removed goes with
// the next start.
func (n *Node) DeleteDisk(ctx context.Context, id DiskID) error {
	d, release, err := n.UseDisk(id, true)
	if err != nil {
		return err
	}
	defer release()
	if d.lazy() {
		n.hydration.pause(id)
		defer n.hydrate(id) // unless it is gone
	}
	dir, err := n.directory(d.Dir)
	if err == nil {
		err = dir.CheckUnused(d.backing())
	}
	if err == nil {
		// A disk that is put aside has its record in the store, or none.
		err = n.disks.flush(id)
	}
	if err == nil {
		err = dir.Retire(ctx, d.backing())
	}
	if err != nil {
		return fmt.Errorf("delete disk %s: %w", id, err)
	}
	err = n.disks.remove(ctx, id, func(d Disk) error {
		n.removeFiles(ctx, dir, d)
		return nil
	})
	if err == nil {
		return nil
	}
	if restoreErr := dir.Restore(d.backing()); restoreErr != nil {
		n.opts.Logger.Error("a disk that was to be deleted is put aside", "disk", id, "reason", restoreErr)
	}
	return err
}

func (n *Node) removeFiles(ctx context.Context, dir *provision.Directory, d Disk) {
	if err := dir.Remove(context.WithoutCancel(ctx), d.backing()); err != nil {
		n.opts.Logger.Error("the files of a disk are left over", "disk", d.ID, "backing", d.Backing, "reason", err)
	}
}
