package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
)

// Remove removes the files of a disk; that they are gone already is no error.
// An overlay's base goes with its last overlay when it was dropped.
func (d *Directory) Remove(ctx context.Context, b Backing) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("remove %s: %w", b.ID, context.Cause(ctx))
	}
	err := d.removeFiles(b)
	if m, ok := b.ID.Manifest(); ok && b.Method == Overlay && err == nil {
		err = d.leaveOverlay(m)
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", b.ID, err)
	}
	return nil
}

// retiredSuffix is that of a disk whose record is being removed.
const retiredSuffix = ".retired"

// Retire puts a raw disk aside whose record is about to go, so that it is never
// taken for a ready one. Remove, and Recover while the record is there, know
// it. After an error the disk is where it was.
func (d *Directory) Retire(ctx context.Context, b Backing) error {
	if b.Format != convert.Raw {
		return nil
	}
	path := d.Path(b.ID, b.Format)
	err := ctx.Err()
	if err == nil {
		err = d.step("retire")
	}
	if err == nil {
		err = os.Rename(path, path+retiredSuffix)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		if err = d.sync(disksDir); err != nil {
			// A crash leaves the one name or the other, and Recover knows both.
			err = errors.Join(err, os.Rename(path+retiredSuffix, path))
		}
	}
	if err != nil {
		return fmt.Errorf("retire %s: %w", b.ID, err)
	}
	return nil
}

// Restore takes Retire back.
func (d *Directory) Restore(b Backing) error {
	path := d.Path(b.ID, b.Format)
	err := os.Rename(path+retiredSuffix, path)
	if err == nil {
		err = d.sync(disksDir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("restore %s: %w", b.ID, err)
	}
	return nil
}

func (d *Directory) removeFiles(b Backing) error {
	if err := d.step("remove"); err != nil {
		return err
	}
	// A disk that was lazy has a map still when that could not be removed.
	for _, name := range []string{fileName(&b), fileName(&b) + retiredSuffix, string(b.ID) + mapSuffix} {
		if err := removeFile(d.path(disksDir, name)); err != nil {
			return err
		}
	}
	return d.sync(disksDir)
}

var errNoBase = errors.New("its base is not known")

func (d *Directory) leaveOverlay(m cas.ManifestID) error {
	d.mu.Lock()
	b := d.bases[m]
	d.mu.Unlock()
	if b == nil {
		return errNoBase
	}
	return d.leaveBase(b)
}
