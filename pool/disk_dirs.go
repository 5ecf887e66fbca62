package pool

import (
	"context"
	"errors"
	"fmt"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool/provision"
	"github.com/blockmill/blockmill/pool/ready"
)

// openDisks opens the disk directories and brings them in line with the
// records, then begins the pools.
func (n *Node) openDisks(ctx context.Context) error {
	opts := n.opts.Ready
	opts.Maker, opts.Logger = maker{n}, n.opts.Logger
	n.stock = ready.New(opts)
	found := make(map[cas.ManifestID][]provision.Backing)
	owned := make(map[provision.BackingID]string)
	for _, o := range n.opts.Disks {
		o.Store, o.Arena, o.Logger, o.Wanted = n.opts.Store, n.opts.Arena, n.opts.Logger, n.madeAhead
		d, err := provision.Open(ctx, o)
		if err != nil {
			return err
		}
		n.dirs = append(n.dirs, d)
		inv := n.inventory()
		inv.Adopt = func(id BackingID, record []byte) (bool, error) { return n.adopt(ctx, d, id, record) }
		f, err := d.Recover(ctx, inv)
		if err != nil {
			return err
		}
		for id := range f.Owned {
			owned[id] = d.Dir()
		}
		for _, b := range f.Ready {
			m, _ := b.ID.Manifest()
			found[m] = append(found[m], b)
		}
	}
	if len(n.dirs) == 0 {
		return nil
	}
	n.locate(owned)
	return n.openPools(ctx, found)
}

// locate notes where the files of disks were found: directories may have been
// moved since the records were written.
func (n *Node) locate(owned map[provision.BackingID]string) {
	for _, d := range n.disks.all() {
		dir, ok := owned[d.Backing]
		if !ok {
			n.opts.Logger.Error("the files of a disk are missing", "disk", d.ID, "directory", d.Dir, "backing", d.Backing)
			continue
		}
		if d.Dir == dir {
			continue
		}
		if r, err := n.disks.lock(d.ID); err == nil {
			d.Dir = dir
			n.disks.replace(r, &d)
			r.writing.Unlock()
		}
	}
}

// inventory is what disk directories should hold.
func (n *Node) inventory() provision.Inventory {
	inv := provision.Inventory{
		Incomplete: n.damage != nil,
		Disks:      make(map[provision.BackingID]provision.Backing),
		Images:     make(map[cas.ManifestID]bool),
		Ready: func(m cas.ManifestID, size int64) bool {
			_, ok := n.pooledImage(m, size)
			return ok
		},
	}
	for _, d := range n.disks.all() {
		inv.Disks[d.Backing] = d.backing()
	}
	for _, img := range n.images.all() {
		inv.Images[img.Manifest] = true
	}
	for _, s := range n.snapshots.all() {
		inv.Images[s.Manifest] = true
	}
	return inv
}

// madeAhead says whether there are ready disks of a manifest, or are to be, as may
// be while pools are not open yet.
func (n *Node) madeAhead(m cas.ManifestID) bool {
	for _, img := range n.images.all() {
		if !img.Pooled || img.Manifest != m {
			continue
		}
		st, err := n.stock.Stat(ready.Key(img.ID))
		if err != nil || st.Ready+st.Target+st.Making+st.Waiting > 0 {
			return true
		}
	}
	return false
}

// pooledImage finds an image that wants ready disks of a manifest and size.
func (n *Node) pooledImage(m cas.ManifestID, size int64) (Image, bool) {
	for _, img := range n.images.all() {
		if img.Pooled && img.Manifest == m && img.VirtualSize <= size && size <= img.MinDiskSize {
			return img, true
		}
	}
	return Image{}, false
}

// directory finds the open directory of a path.
func (n *Node) directory(path string) (*provision.Directory, error) {
	for _, d := range n.dirs {
		if d.Dir() == path {
			return d, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", path, ErrNoDisks)
}

// Directories are the disk directories, the preferred first.
func (n *Node) Directories() []*provision.Directory { return n.dirs }

// dropBase gives up the golden bases of a manifest, unless an image or snapshot
// still has it.
func (n *Node) dropBase(m cas.ManifestID) {
	if n.hasManifest(m) {
		return
	}
	var errs []error
	for _, d := range n.dirs {
		errs = append(errs, d.DropBase(m))
	}
	if err := errors.Join(errs...); err != nil {
		n.opts.Logger.Error("a golden base is left over", "manifest", m, "reason", err)
	}
	if n.hasManifest(m) { // made in the meantime
		for _, d := range n.dirs {
			d.KeepBase(m)
		}
	}
}

// hasManifest says whether an image or snapshot has the manifest that is not
// being deleted.
func (n *Node) hasManifest(m cas.ManifestID) bool {
	for _, img := range n.images.all() {
		if img.Manifest == m && img.Status == Ready {
			return true
		}
	}
	for _, s := range n.snapshots.all() {
		if s.Manifest == m && s.Status == Ready {
			return true
		}
	}
	return false
}
