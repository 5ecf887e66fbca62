package provision

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
)

// Inventory is what the layer above knows when a directory is opened.
type Inventory struct {
	// Disks are the backings that disks have, in whatever directory: where one
	// is found it stays.
	Disks map[BackingID]Backing
	// Incomplete says that not all disks are known: nothing is removed then,
	// nor taken as ready, for it may be somebody's.
	Incomplete bool
	// Images are the manifests of the images that exist: their golden bases
	// stay.
	Images map[cas.ManifestID]bool
	// Adopt is given the record that a backing carries of which no disk is known. It
	// says whether the backing is a disk's now, or is to be left alone; when the store
	// has the record, it calls Uncarry. Nil takes no records.
	Adopt func(id BackingID, record []byte) (bool, error)
	// Ready says whether a ready disk of an image and of a size is wanted.
	Ready func(m cas.ManifestID, size int64) bool
}

// Found is what Recover found.
type Found struct {
	// Ready are the backings that no disk has, and that are as good as new.
	Ready []Backing
	// Owned are the backings of disks whose files are there.
	Owned map[BackingID]bool
	// Removed counts the leftovers.
	Removed int
}

// Recover brings a directory in line with what the layer above knows: whose
// files have no owner go, unless they are wanted as ready disks, and so do the
// golden bases of images that are gone, unless overlays read from them. A base
// that an overlay needs and that is missing is built again.
func (d *Directory) Recover(ctx context.Context, inv Inventory) (Found, error) {
	f, err := d.recoverDisks(inv)
	if err == nil {
		err = d.recoverBases(ctx, inv, &f)
	}
	if err == nil && f.Removed > 0 {
		err = errors.Join(d.sync(disksDir), d.sync(basesDir))
	}
	if err != nil {
		return f, fmt.Errorf("recover disk directory %s: %w", d.opts.Path, err)
	}
	return f, nil
}

func (d *Directory) recoverDisks(inv Inventory) (f Found, err error) {
	entries, err := os.ReadDir(d.path(disksDir))
	if err != nil {
		return f, err
	}
	f.Owned = make(map[BackingID]bool)
	for _, e := range entries {
		name, _, _ := strings.Cut(e.Name(), ".")
		id := BackingID(name)
		b, owned := inv.Disks[id]
		switch {
		case owned && strings.HasSuffix(e.Name(), retiredSuffix):
			if err := d.Restore(b); err != nil {
				return f, err
			}
			f.Owned[id] = true
		case owned && b.Method != Lazy && strings.HasSuffix(e.Name(), mapSuffix):
			// Its disk came over, and the process ended before the map went.
			if err := removeFile(d.path(disksDir, e.Name())); err != nil {
				return f, err
			}
			f.Removed++
		case owned:
			f.Owned[id] = true
		case !id.valid() || inv.Incomplete:
			d.opts.Logger.Warn("left alone what is not known to be a disk", "path", d.path(disksDir, e.Name()))
		default:
			adopted, err := d.adopt(id, e, inv)
			if err != nil {
				return f, err
			}
			if adopted {
				f.Owned[id] = true
				continue
			}
			if b, ok := d.asReady(id, e, inv); ok {
				f.Ready = append(f.Ready, b)
				continue
			}
			if err := removeFile(d.path(disksDir, e.Name())); err != nil {
				return f, err
			}
			f.Removed++
		}
	}
	return f, nil
}

// adopt has the disk listed whose record a file carries: the process ended before
// the store had it. What was put aside to be deleted carries nothing, whatever its
// attributes say.
func (d *Directory) adopt(id BackingID, e os.DirEntry, inv Inventory) (bool, error) {
	path := d.path(disksDir, e.Name())
	if inv.Adopt == nil || !e.Type().IsRegular() || e.Name() != string(id)+".raw" {
		return false, nil
	}
	record, err := carried(path)
	switch {
	case errors.Is(err, errCarried):
		d.opts.Logger.Error("left alone a disk whose record is not known", "path", path, "reason", err)
		return true, nil
	case errors.Is(err, cas.ErrNewerVersion):
		return false, fmt.Errorf("disk %s: %w", e.Name(), err)
	case err != nil || record == nil:
		return false, err
	}
	// A process that was killed may have written it and not synced it.
	if err := blockio.SyncPath(path); err != nil {
		return false, err
	}
	return inv.Adopt(id, record)
}

// asReady takes a file without an owner as a ready disk. One that was written,
// or grown for a claim that did not come to be, is none.
func (d *Directory) asReady(id BackingID, e os.DirEntry, inv Inventory) (Backing, bool) {
	m, ok := id.Manifest()
	info, err := e.Info()
	if !ok || d.ReadyMethod() == Overlay || err != nil || !e.Type().IsRegular() || e.Name() != string(id)+".raw" || !info.ModTime().Equal(freshTime) {
		return Backing{}, false
	}
	if !inv.Images[m] || inv.Ready == nil || !inv.Ready(m, info.Size()) {
		return Backing{}, false
	}
	b := Backing{ID: id, Dir: d.opts.Path, Method: d.ReadyMethod(), Format: convert.Raw, Size: info.Size(), Held: metadataNeed / 16}
	if b.Method != Reflink {
		b.Held = allocated(info)
	}
	return b, true
}

// ReadyMethod is how the directory makes ready disks: the method that serves
// guests best of those that it can use.
func (d *Directory) ReadyMethod() Method {
	for _, m := range []Method{Reflink, ReadyMade, Copy, Overlay} {
		if d.Can(m) {
			return m
		}
	}
	return ReadyMade
}

func (d *Directory) recoverBases(ctx context.Context, inv Inventory, f *Found) error {
	overlays := make(map[cas.ManifestID]int)
	for id := range f.Owned {
		if m, ok := id.Manifest(); ok && inv.Disks[id].Method == Overlay {
			overlays[m]++
		}
	}
	entries, err := os.ReadDir(d.path(basesDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		m, err := cas.ParseManifestID(strings.TrimSuffix(e.Name(), ".raw"))
		if err != nil {
			d.opts.Logger.Warn("left alone what is no base", "path", d.path(basesDir, e.Name()))
			continue
		}
		if !inv.Images[m] && overlays[m] == 0 && !inv.Incomplete {
			if err := removeFile(d.path(basesDir, e.Name())); err != nil {
				return err
			}
			f.Removed++
			continue
		}
		if err := d.noteFound(d.noteBase(m, inv), e); err != nil {
			return err
		}
	}
	for m, n := range overlays {
		b := d.noteBase(m, inv)
		b.users += n
		if err := d.ensureBase(ctx, b, false); err != nil {
			d.opts.Logger.Error("overlays have lost their base", "manifest", m, "overlays", n, "reason", err)
		}
	}
	d.trimBases()
	return nil
}

// noteFound notes what the file of a base says: that it was written is the latest
// known use of it.
func (d *Directory) noteFound(b *base, e os.DirEntry) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	b.used = info.ModTime()
	return d.weigh(b)
}

// noteBase lists a base; nobody else has the directory yet.
func (d *Directory) noteBase(m cas.ManifestID, inv Inventory) *base {
	b := d.bases[m]
	if b == nil {
		b = &base{manifest: m, turn: make(chan struct{}, 1)}
		d.bases[m] = b
	}
	b.dropped = !inv.Images[m]
	return b
}
