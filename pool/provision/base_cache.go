package provision

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio/cas"
)

// baseShare is the share of its file system that a directory's golden bases may
// take, by default.
const baseShare = 4

// defaultBaseBytes is what golden bases may take in a directory that was not told.
func defaultBaseBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("ask for the size of the file system of %s: %w", dir, err)
	}
	return int64(st.Blocks) * st.Bsize / baseShare, nil
}

// heldByBases is what all golden bases take. Mu is held.
func (d *Directory) heldByBases() int64 {
	var sum int64
	for _, b := range d.bases {
		sum += b.bytes
	}
	return sum
}

// weigh notes how large a base is that is there.
func (d *Directory) weigh(b *base) error {
	info, err := os.Lstat(d.path(basesDir, b.name()))
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opts.Metrics.hold(allocated(info) - b.bytes)
	b.bytes = allocated(info)
	return nil
}

// trimBases removes golden bases until they take no more than they may, or the rest
// is needed. It is nobody's fault when that cannot be done.
func (d *Directory) trimBases() {
	for {
		d.mu.Lock()
		over := d.heldByBases() > d.baseBytes
		d.mu.Unlock()
		if !over {
			return
		}
		gone, err := d.evictBase(true)
		if err != nil {
			d.opts.Logger.Error("golden bases hold more than they may", "directory", d.opts.Path, "reason", err)
		}
		if err != nil || !gone {
			return
		}
	}
}

// makeRoom is room, for which golden bases go that are not needed.
func (d *Directory) makeRoom(need int64) error {
	for {
		err := d.room(need)
		if !errors.Is(err, ErrNoSpace) {
			return err
		}
		if gone, evictErr := d.evictBase(false); evictErr != nil || !gone {
			return errors.Join(err, evictErr)
		}
	}
}

// evictBase removes the golden base that was needed the longest time ago: one that
// no overlay reads from, no call needs, and no pool makes disks of. The one that was
// needed last stays as well with keep, however large: else each disk of a large image
// would write the image anew. False says that there is none to remove.
func (d *Directory) evictBase(keep bool) (gone bool, err error) {
	wanted := make(map[cas.ManifestID]bool)
	for _, m := range d.manifestsOfBases() {
		wanted[m] = d.opts.Wanted(m) // which may wait for locks of others
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var oldest, latest *base
	for _, b := range d.bases {
		if latest == nil || b.used.After(latest.used) {
			latest = b
		}
		want, asked := wanted[b.manifest]
		if b.users > 0 || b.bytes == 0 || want || !asked {
			continue
		}
		if oldest == nil || b.used.Before(oldest.used) {
			oldest = b
		}
	}
	if oldest == nil || keep && oldest == latest {
		return false, nil
	}
	if err := d.removeBase(oldest); err != nil {
		return false, err
	}
	d.opts.Metrics.evicted()
	return true, nil
}

func (d *Directory) manifestsOfBases() []cas.ManifestID {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]cas.ManifestID, 0, len(d.bases))
	for m := range d.bases {
		all = append(all, m)
	}
	return all
}
