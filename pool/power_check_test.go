package pool_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
)

// powerCheck holds what the power left against what may be left.
type powerCheck struct {
	t     *testing.T
	node  *powerNode
	fates map[string]fate
	// found is what there is, from which the next run goes on.
	found *powerLog
	// got and want are space for what a thing holds, and should.
	got, want []byte
}

// checkPower opens the node of a device that lost its power, and says what is
// there.
func checkPower(t *testing.T, dir string, fates map[string]fate) *powerLog {
	t.Helper()
	n, err := openPower(t.Context(), dir, 0, complaints{t})
	if err != nil {
		t.Fatal(err)
	}
	c := &powerCheck{t: t, node: n, fates: fates, found: newPowerLog(), got: make([]byte, powerDiskSize), want: make([]byte, powerDiskSize)}
	if err := n.Damage(); err != nil {
		t.Error(err)
	}
	if r, err := n.store.Check(t.Context()); err != nil || r.Found > 0 {
		t.Errorf("check of the store: %v, %v", r.Problems, err)
	}
	c.images()
	c.disks()
	pooled := 0
	for img := range n.Images(pool.Query{Folder: "f"}) {
		if img.Pooled {
			pooled += waitReady(t, n.Node, img.ID).Ready
		}
	}
	c.whole()
	files := c.files(pooled)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	c.leftovers(filepath.Join(dir, "disks", "dir"), files)
	return c.found
}

// complaints fails a test for each error that a node tells its log.
type complaints struct{ t *testing.T }

func (c complaints) Write(p []byte) (int, error) {
	c.t.Errorf("%s", p)
	return len(p), nil
}

// images checks the images and snapshots.
func (c *powerCheck) images() {
	images, snapshots := fatesOf(c.fates, "image"), fatesOf(c.fates, "snapshot")
	for img := range c.node.Images(pool.Query{Folder: "f"}) {
		c.one(images, "image", string(img.ID), func() ([]byte, error) { return c.readImage(img.Manifest) })
	}
	for s := range c.node.Snapshots(pool.Query{Folder: pool.DefaultFolder}) {
		c.one(snapshots, "snapshot", string(s.ID), func() ([]byte, error) { return c.readImage(s.Manifest) })
	}
	c.rest(images)
	c.rest(snapshots)
}

// disks checks the disks.
func (c *powerCheck) disks() {
	fates := fatesOf(c.fates, "disk")
	files := make(map[pool.BackingID]pool.DiskID)
	for d := range c.node.Disks(pool.Query{Folder: "f"}) {
		if other, twice := files[d.Backing]; twice {
			c.t.Errorf("disks %s and %s have one file", d.ID, other)
		}
		files[d.Backing] = d.ID
		c.one(fates, "disk made by "+string(d.Method), string(d.ID), func() ([]byte, error) { return c.readDisk(d.ID) })
	}
	c.rest(fates)
}

// one checks a thing that is there, and takes its fate off the list.
func (c *powerCheck) one(fates map[string]fate, what, id string, read func() ([]byte, error)) {
	f, ok := fates[id]
	delete(fates, id)
	if !ok {
		c.t.Errorf("%s %s is there, and nobody made it", what, id)
		return
	}
	p, err := read()
	if err == nil {
		err = f.check(p, c.want)
	}
	if err != nil {
		c.t.Errorf("%s %s: %v", what, id, err)
	}
	c.found.found(f.kind, id, p)
}

// rest checks that what is not there may be gone.
func (c *powerCheck) rest(fates map[string]fate) {
	for id, f := range fates {
		if err := f.lost(); err != nil {
			c.t.Errorf("%s %s: %v", f.kind, id, err)
		}
	}
}

// whole waits until all disks stand alone, and sees whether they are as they
// were found.
func (c *powerCheck) whole() {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for d := range c.node.Disks(pool.Query{Folder: "f"}) {
		if d.Method != provision.Lazy {
			continue
		}
		var err error
		for err == nil && d.Base != (cas.ManifestID{}) && !c.t.Failed() {
			<-tick.C
			d, err = c.node.Disk(d.ID)
		}
		p, readErr := c.readDisk(d.ID)
		s := c.found.now(string(d.ID))
		if err := errors.Join(err, readErr); err != nil || !c.t.Failed() && !bytes.Equal(p, s.fill(c.want)) {
			c.t.Errorf("lazy disk %s has changed by standing alone: %v", d.ID, err)
		}
	}
}

// files are the names of the files that the disk directory should have, with "*"
// for each ready disk.
func (c *powerCheck) files(pooled int) []string {
	names := slices.Repeat([]string{"disks/*"}, pooled)
	for d := range c.node.Disks(pool.Query{Folder: "f"}) {
		names = append(names, "disks/"+string(d.Backing)+"."+string(d.Format))
	}
	return names
}

// leftovers checks that there are those files and no other, and that ready disks
// hold what their images do.
func (c *powerCheck) leftovers(dir string, want []string) {
	left := make(map[string]bool)
	for _, sub := range []string{"tmp", "disks"} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			c.t.Fatal(err)
		}
		for _, e := range entries {
			left[sub+"/"+e.Name()] = true
		}
	}
	spare := 0
	for _, name := range want {
		if name == "disks/*" {
			spare++
		} else if !left[name] {
			c.t.Errorf("%s is missing", name)
		}
		delete(left, name)
	}
	if len(left) != spare {
		c.t.Errorf("%d files have no disk, and %d disks are ready: %v", len(left), spare, slices.Sorted(maps.Keys(left)))
	}
	for name := range left {
		if err := c.fresh(filepath.Join(dir, name)); err != nil {
			c.t.Error(err)
		}
	}
}

// fresh checks the file of a ready disk: it holds some image, and zeros.
func (c *powerCheck) fresh(path string) error {
	p, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, l := range c.found.lives {
		image := l.after(l.acked)
		if l.kind == "image" && bytes.Equal(bytes.TrimRight(p, "\x00"), bytes.TrimRight(image.fill(c.want), "\x00")) {
			return nil
		}
	}
	return fmt.Errorf("the ready disk %s holds no image", path)
}

func (c *powerCheck) readImage(m cas.ManifestID) ([]byte, error) {
	img, err := c.node.store.OpenImage(c.t.Context(), m)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	return c.read(img, img.Size())
}

func (c *powerCheck) readDisk(id pool.DiskID) ([]byte, error) {
	if _, err := c.node.AttachDisk(id); err != nil {
		return nil, err
	}
	o, err := c.node.OpenDisk(c.t.Context(), id)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return c.read(o.Device, o.Size)
}

func (c *powerCheck) read(r io.ReaderAt, size int64) ([]byte, error) {
	p := c.got[:size]
	if n, err := r.ReadAt(p, 0); n < len(p) {
		return p[:n], err
	}
	return p, nil
}
