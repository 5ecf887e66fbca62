package pool

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/blockmill/blockmill/blockio/cas"
)

// ReserveImage lists an image that is about to be made, under the id that it
// has or else one that it is given, with Status Creating: it can be seen, its
// name is taken, and nothing of it is durable. FillImage or CopyImage makes
// it, ReleaseImage gives it up. What the image does not say of its heritage it
// takes over from the image, snapshot or disk that it is made from, which must
// be Ready.
//
// An image that the same operation (Meta.Operation) has reserved or made
// before is returned as it is.
func (n *Node) ReserveImage(img Image) (Image, error) {
	if have, err := n.images.get(img.ID); err == nil && have.Operation == img.Operation && img.Operation != "" {
		return have, nil
	}
	from, size, err := n.heritage(img.Source)
	if err != nil {
		return img, err
	}
	if img.MinDiskSize != 0 && img.MinDiskSize < size {
		return img, &MinDiskSizeError{Least: size}
	}
	img.Heritage = img.Heritage.inherit(from)
	if img.ID == "" {
		img.ID = newID[ImageID]()
	}
	if img.CreatedAt.IsZero() {
		img.CreatedAt = n.now()
	}
	if img.Folder == "" {
		img.Folder = n.opts.DefaultFolder
	}
	return n.images.reserve(img)
}

// ReleaseImage gives up an image that was reserved and not made.
func (n *Node) ReleaseImage(id ImageID) { n.images.release(id) }

// heritage is that of something's source, which must be Ready, and the source's
// virtual size, 0 when it is not known yet.
func (n *Node) heritage(s Source) (Heritage, int64, error) {
	switch {
	case s.Image != "":
		img, err := n.readyImage(s.Image)
		return img.Heritage, img.VirtualSize, err
	case s.Snapshot != "":
		snap, err := n.readySnapshot(s.Snapshot)
		return snap.Heritage, snap.VirtualSize, err
	case s.Disk != "":
		d, err := n.readyDisk(s.Disk)
		return d.Heritage, d.Size, err
	}
	return Heritage{}, 0, nil
}

// checkReady says whether a thing can be used.
func checkReady(kind, id string, s Status, err error) error {
	if err == nil && s != Ready {
		err = fmt.Errorf("%s %s is %v: %w", kind, id, s, ErrNotReady)
	}
	return err
}

func (n *Node) readyImage(id ImageID) (Image, error) {
	img, err := n.images.get(id)
	return img, checkReady(imageKind, string(id), img.Status, err)
}

// CopyImage makes a reserved image of the image or snapshot that is its
// source, which must have the digest, unless that is nil. No bytes are moved:
// the image's record names the same manifest.
func (n *Node) CopyImage(ctx context.Context, id ImageID, digest *cas.Digest) (Image, error) {
	img, err := n.images.get(id)
	if err != nil || img.Status == Ready {
		return img, err
	}
	defer n.images.release(id) // unless it is committed
	if img.Source.Image != "" {
		from, err := n.readyImage(img.Source.Image)
		if err != nil {
			return img, err
		}
		img.Contents, img.Format = from.Contents, from.Format
	} else {
		from, err := n.readySnapshot(img.Source.Snapshot)
		if err != nil {
			return img, err
		}
		img.Contents = from.Contents
	}
	if err := img.checkDigest(digest); err != nil {
		return img, err
	}
	return n.commitImage(ctx, img)
}

// commitImage gives an image the least disk size that it can have, unless it
// has another, and writes its record.
func (n *Node) commitImage(ctx context.Context, img Image) (Image, error) {
	err := img.setMinDiskSize(img.MinDiskSize)
	if err == nil {
		img, err = n.images.commit(ctx, img)
	}
	if err != nil {
		return img, fmt.Errorf("make image %s: %w", img.ID, err)
	}
	n.imageMade(ctx, img)
	return img, nil
}

// diskSizeUnit is what the sizes of disks are multiples of, and the least of
// them.
const diskSizeUnit = 4 << 20

// setMinDiskSize sets the least size of disks; 0 is the least that the image
// fits in.
func (img *Image) setMinDiskSize(size int64) error {
	if size == 0 {
		size = max(1, (img.VirtualSize+diskSizeUnit-1)/diskSizeUnit) * diskSizeUnit
	}
	if size < img.VirtualSize {
		return &MinDiskSizeError{Least: img.VirtualSize}
	}
	img.MinDiskSize = size
	return nil
}

// Image gives the image of an id.
func (n *Node) Image(id ImageID) (Image, error) { return n.images.get(id) }

// Images lists images.
func (n *Node) Images(q Query) iter.Seq[Image] { return n.images.list(q) }

// LatestByFamily gives the image of a family that was created last, of those
// that are Ready.
func (n *Node) LatestByFamily(in FolderID, family string) (Image, error) {
	t := n.images
	t.mu.RLock()
	defer t.mu.RUnlock()
	if f := t.folders[in]; f != nil {
		l := f.in[byFamily]
		end, _ := l.find(byFamily, key{family: family, Position: Position{CreatedAt: endOfTime}})
		for i := end - 1; i >= 0 && l[i].Family == family; i-- {
			if l[i].Status == Ready {
				return *l[i], nil
			}
		}
	}
	return Image{}, fmt.Errorf("image of family %s: %w", family, ErrNotFound)
}

// endOfTime is after whatever a record says.
var endOfTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// ImageEdit says what becomes of an image; what is nil stays.
type ImageEdit struct {
	Name, Description *string
	Labels            *map[string]string
	// MinDiskSize is the least size of disks; 0 is the least that the image
	// fits in.
	MinDiskSize *int64
	// Bindings makes the new bindings of the old ones, which it leaves alone.
	Bindings func([]Binding) []Binding
}

func (e ImageEdit) apply(img *Image) error {
	edit(&img.Meta, Edit{Name: e.Name, Description: e.Description, Labels: e.Labels, Bindings: e.Bindings})
	if e.MinDiskSize != nil {
		return img.setMinDiskSize(*e.MinDiskSize)
	}
	return nil
}

// UpdateImage changes what is known of an image.
func (n *Node) UpdateImage(ctx context.Context, id ImageID, e ImageEdit) (Image, error) {
	return n.images.change(ctx, id, e.apply)
}

// CheckImage says what UpdateImage would say against an edit, as far as that can
// be said beforehand.
func (n *Node) CheckImage(id ImageID, e ImageEdit) error { return n.images.check(id, e.apply) }

// set gives a property a new value, if there is one.
func set[T any](property, value *T) {
	if value != nil {
		*property = *value
	}
}

// DeleteImage removes an image, and the disks that are ready for it. What was
// made from it is left as it is, and waited for by nobody.
func (n *Node) DeleteImage(ctx context.Context, id ImageID) error {
	return n.images.remove(ctx, id, func(img Image) error {
		n.imageGone(ctx, img)
		return nil
	})
}

// OpenContents opens the bytes of an image or snapshot. The caller closes them;
// until then they are kept, whatever becomes of what they are the bytes of.
func (n *Node) OpenContents(ctx context.Context, c Contents) (*cas.Image, error) {
	return n.opts.Store.OpenImage(ctx, c.Manifest)
}
