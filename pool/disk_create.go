package pool

import (
	"context"
	"errors"
	"fmt"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool/provision"
	"github.com/blockmill/blockmill/pool/ready"
)

// ReserveDisk lists a disk that is about to be made, as ReserveImage does with
// images. Source is what it is made from, or nothing for an empty disk; Size 0
// is the least that the source allows; Method and Dir, unless they are empty,
// are demanded.
func (n *Node) ReserveDisk(d Disk) (Disk, error) {
	if have, err := n.disks.get(d.ID); err == nil && have.Operation == d.Operation && d.Operation != "" {
		return have, nil
	}
	from, _, err := n.heritage(d.Source)
	if err != nil {
		return d, err
	}
	origin, err := n.origin(d.Source)
	if err != nil {
		return d, err
	}
	if d.Size == 0 {
		d.Size = origin.least
	}
	if err := origin.fits(d.Size); err != nil {
		return d, err
	}
	d.Heritage = d.Heritage.inherit(from)
	if d.ID == "" {
		d.ID = newID[DiskID]()
	}
	if d.CreatedAt.IsZero() {
		d.CreatedAt = n.now()
	}
	if d.Folder == "" {
		d.Folder = n.opts.DefaultFolder
	}
	return n.disks.reserve(d)
}

// ReleaseDisk gives up a disk that was reserved and not made.
func (n *Node) ReleaseDisk(id DiskID) { n.disks.release(id) }

// CreateDisk reserves and makes a disk.
func (n *Node) CreateDisk(ctx context.Context, d Disk) (Disk, error) {
	d, err := n.ReserveDisk(d)
	if err != nil {
		return d, err
	}
	return n.MakeDisk(ctx, d.ID, nil)
}

// MakeDisk makes a reserved disk. Its files are durable before its record is
// written, which is what makes them its own, and which holds the submission for
// Submissions. When it fails, the disk is off the list and nothing is left of it.
func (n *Node) MakeDisk(ctx context.Context, id DiskID, submission []byte) (Disk, error) {
	d, err := n.disks.get(id)
	if err != nil || d.Status == Ready {
		return d, err
	}
	defer n.disks.release(id) // unless it is committed
	defer n.stock.Foreground()()
	d.Submission = submission
	d, err = n.makeDisk(ctx, d)
	if err != nil {
		return d, fmt.Errorf("make disk %s: %w", id, err)
	}
	return d, nil
}

func (n *Node) makeDisk(ctx context.Context, d Disk) (Disk, error) {
	o, err := n.origin(d.Source)
	if err != nil {
		return d, err
	}
	f, err := n.obtain(ctx, d, o)
	if err != nil {
		return d, err
	}
	return n.claim(ctx, d, f)
}

// files are a disk's that has no record yet.
type files struct {
	provision.Backing
	// taken is what they were in a pool, nil for what was made.
	taken *ready.Taken
	// finish makes them durable; nil for what is.
	finish provision.Finish
}

// claim makes files a disk's own by writing its record, which is the one
// durable step of those that were ready, or by having them carry it, which is that of
// clones. When it is certain that there is no record, the files go back to
// where they came from; else they are left to the next start.
func (n *Node) claim(ctx context.Context, d Disk, f files) (Disk, error) {
	d.Dir, d.Backing, d.Method, d.Format = f.Dir, f.ID, f.Method, f.Format
	if m, ok := f.ID.Manifest(); ok && (f.Method == provision.Overlay || f.Method == provision.Lazy) {
		d.Base = m
	}
	made, carried, err := n.disks.commitCarried(ctx, d, n.deferred.carrier(f.finish), n.uncarry)
	if err == nil {
		if carried {
			n.deferred.add(made.ID)
		}
		if f.taken != nil {
			f.taken.Keep()
		}
		if made.lazy() {
			n.hydrate(made.ID)
		}
		return made, nil
	}
	if f.finish != nil {
		_, _ = f.finish(nil) // unless that is what failed: nothing holds them open then
	}
	_, left := n.opts.Store.Record(context.WithoutCancel(ctx), diskKind, string(d.ID))
	if !errors.Is(left, cas.ErrNotFound) {
		return d, err
	}
	if f.taken != nil {
		f.taken.Return()
		return d, err
	}
	return d, errors.Join(err, maker{n}.Discard(context.WithoutCancel(ctx), "", f.Backing))
}

// origin is what a disk is made from.
type origin struct {
	manifest cas.ManifestID
	size     int64 // of the bytes; 0 for an empty disk
	least    int64 // of disks
	pool     ready.Key
	image    bool // an image, not a snapshot
}

func (n *Node) origin(s Source) (origin, error) {
	switch {
	case s.Image != "":
		img, err := n.readyImage(s.Image)
		o := origin{manifest: img.Manifest, size: img.VirtualSize, least: img.MinDiskSize, image: true}
		if img.Pooled {
			o.pool = ready.Key(img.ID)
		}
		return o, err
	case s.Snapshot != "":
		snap, err := n.readySnapshot(s.Snapshot)
		return origin{manifest: snap.Manifest, size: snap.VirtualSize, least: snap.VirtualSize}, err
	case s.Disk != "":
		return origin{}, fmt.Errorf("a disk is made from an image, a snapshot or nothing, not from disk %s", s.Disk)
	}
	return origin{least: diskSizeUnit}, nil
}

// sectorSize is what the size of a disk is a multiple of.
const sectorSize = 512

func (o origin) fits(size int64) error {
	switch {
	case size < o.least || size < o.size:
		return fmt.Errorf("%d bytes, at least %d: %w", size, max(o.least, o.size), ErrDiskSize)
	case size > provision.MaxSize:
		return fmt.Errorf("%d bytes, at most %d: %w", size, int64(provision.MaxSize), ErrDiskSize)
	case size%sectorSize != 0:
		return fmt.Errorf("%d bytes, not a multiple of %d: %w", size, sectorSize, ErrDiskSize)
	}
	return nil
}
