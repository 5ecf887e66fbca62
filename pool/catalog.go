package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/blockmill/blockmill/blockio/cas"
)

// Catalog is the records of a store, read into memory. Its own methods are
// those that work offline, on images of the default folder.
type Catalog struct {
	tables
	damage []error // immutable
}

// tables are the things of a store.
type tables struct {
	images    *table[ImageID, Image, *Image]
	snapshots *table[SnapshotID, Snapshot, *Snapshot]
	disks     *table[DiskID, Disk, *Disk]
}

// OpenCatalog reads the records of a store. A record that cannot be read hides
// its own thing and no other; see Damage.
func OpenCatalog(ctx context.Context, store *cas.Store) (*Catalog, error) {
	return openCatalog(ctx, store, DefaultFolder)
}

// openCatalog opens a catalog whose records without a folder are of the given
// one.
func openCatalog(ctx context.Context, store *cas.Store, folder FolderID) (*Catalog, error) {
	c := &Catalog{tables: tables{
		images:    newTable[ImageID, Image](imageKind, store, folder),
		snapshots: newTable[SnapshotID, Snapshot](snapshotKind, store, folder),
		disks:     newTable[DiskID, Disk](diskKind, store, folder),
	}}
	for _, load := range []func(context.Context) ([]error, error){c.images.load, c.snapshots.load, c.disks.load} {
		damage, err := load(ctx)
		if err != nil {
			return nil, fmt.Errorf("read catalog: %w", err)
		}
		c.damage = append(c.damage, damage...)
	}
	// A record that has lost its name may be of any kind: each found it.
	seen := make(map[string]bool)
	c.damage = slices.DeleteFunc(c.damage, func(err error) bool {
		again := seen[err.Error()]
		seen[err.Error()] = true
		return again
	})
	return c, nil
}

// Damage is what kept things from being listed, nil when that is nothing.
func (c *Catalog) Damage() error { return errors.Join(c.damage...) }

// Available says whether a new image may have the name: ErrName and
// ErrNameTaken tell why not.
func (c *Catalog) Available(name string) error {
	if err := CheckName(name); err != nil || name == "" {
		return err
	}
	_, named := c.images.named(DefaultFolder, name)
	_, id := c.images.get(ImageID(name))
	if named == nil || id == nil {
		return fmt.Errorf("image %s: %w", name, ErrNameTaken)
	}
	return nil
}

// Add lists an image under an id that it chooses, and returns it with that.
// The image's manifest must be committed.
func (c *Catalog) Add(ctx context.Context, img Image) (Image, error) {
	if err := c.Available(img.Name); err != nil {
		return Image{}, err
	}
	img.ID = newID[ImageID]()
	img.Folder = DefaultFolder
	img, err := c.images.reserve(img)
	if err == nil {
		img, err = c.images.commit(ctx, img)
	}
	if err != nil {
		c.images.release(img.ID)
		return Image{}, fmt.Errorf("add image %s: %w", cmp.Or(img.Name, string(img.ID)), err)
	}
	return img, nil
}

// Find gives the image of an id, or of a name: that in the default folder, or
// the only one of all folders.
func (c *Catalog) Find(nameOrID string) (Image, error) {
	if img, err := c.images.get(ImageID(nameOrID)); err == nil {
		return img, nil
	}
	if img, err := c.images.named(DefaultFolder, nameOrID); err == nil {
		return img, nil
	}
	var found []Image
	for _, img := range c.images.all() {
		if img.Name == nameOrID && nameOrID != "" {
			found = append(found, img)
		}
	}
	switch len(found) {
	case 0:
		return Image{}, c.images.missing(nameOrID)
	case 1:
		return found[0], nil
	}
	return Image{}, fmt.Errorf("image %s: %w", nameOrID, ErrAmbiguous)
}

// Remove takes an image off the list; its bytes go with the next garbage
// collection, but for those that others share.
func (c *Catalog) Remove(ctx context.Context, id ImageID) error { return c.images.remove(ctx, id, nil) }

// Images lists the images of all folders, the oldest first.
func (c *Catalog) Images() []Image {
	all := c.images.all()
	slices.SortFunc(all, func(a, b Image) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return all
}
