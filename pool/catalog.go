package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/blockmill/blockmill/blockio/cas"
)

// Catalog is the list of the images in a store.
type Catalog struct {
	store *cas.Store

	// mu is held while a record is written, so that two images never get one
	// name.
	mu    sync.Mutex
	byID  map[ImageID]Image
	names map[string]ImageID

	damage []error // immutable
}

// OpenCatalog reads the records of a store. A record that cannot be read hides
// its own image and no other; see Damage.
func OpenCatalog(ctx context.Context, store *cas.Store) (*Catalog, error) {
	c := &Catalog{store: store, byID: make(map[ImageID]Image), names: make(map[string]ImageID)}
	for r, err := range store.Records(ctx, recordKind) {
		var img Image
		if err == nil {
			img, err = parseRecord(r)
		}
		if err == nil {
			err = c.insert(img)
		}
		switch {
		case ctx.Err() != nil, errors.Is(err, cas.ErrNewerVersion):
			return nil, fmt.Errorf("read catalog: %w", cmp.Or(ctx.Err(), err))
		case err != nil:
			c.damage = append(c.damage, err)
		}
	}
	return c, nil
}

// Damage is what kept images from being listed, nil when that is nothing.
func (c *Catalog) Damage() error { return errors.Join(c.damage...) }

// Available says whether a new image may have the name: ErrName and
// ErrNameTaken tell why not.
func (c *Catalog) Available(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.available(name)
}

func (c *Catalog) available(name string) error {
	if err := CheckName(name); err != nil || name == "" {
		return err
	}
	_, named := c.names[name]
	_, id := c.byID[ImageID(name)]
	if named || id {
		return fmt.Errorf("image %s: %w", name, ErrNameTaken)
	}
	return nil
}

// Add lists an image under an id that it chooses, and returns it with that.
// The image's manifest must be committed.
func (c *Catalog) Add(ctx context.Context, img Image) (Image, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.available(img.Name); err != nil {
		return Image{}, err
	}
	img.ID = newID()
	r, err := img.record()
	if err == nil {
		err = c.store.PutRecord(ctx, r)
	}
	if err != nil {
		return Image{}, fmt.Errorf("add image %s: %w", cmp.Or(img.Name, string(img.ID)), err)
	}
	return img, c.insert(img)
}

// Find gives the image of a name or id.
func (c *Catalog) Find(nameOrID string) (Image, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, named := c.names[nameOrID]
	if !named || nameOrID == "" {
		id = ImageID(nameOrID)
	}
	img, ok := c.byID[id]
	if !ok {
		return Image{}, fmt.Errorf("image %s: %w", nameOrID, ErrNotFound)
	}
	return img, nil
}

// Remove takes an image off the list; its bytes go with the next garbage
// collection, but for those that others share.
func (c *Catalog) Remove(ctx context.Context, id ImageID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	img, ok := c.byID[id]
	if !ok {
		return fmt.Errorf("image %s: %w", id, ErrNotFound)
	}
	if err := c.store.RemoveRecord(ctx, recordKind, string(id)); err != nil {
		return fmt.Errorf("remove image %s: %w", id, err)
	}
	delete(c.byID, id)
	delete(c.names, img.Name)
	return nil
}

// Images lists all images, the oldest first.
func (c *Catalog) Images() []Image {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Image, 0, len(c.byID))
	for _, img := range c.byID {
		all = append(all, img)
	}
	slices.SortFunc(all, func(a, b Image) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// insert notes an image; mu is held, or nobody else has the catalog yet.
func (c *Catalog) insert(img Image) error {
	if img.Name != "" {
		if other, taken := c.names[img.Name]; taken {
			return fmt.Errorf("image %s: named %s, as %s is: %w", img.ID, img.Name, other, cas.ErrCorrupt)
		}
		c.names[img.Name] = img.ID
	}
	c.byID[img.ID] = img
	return nil
}
