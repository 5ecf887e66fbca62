package pool_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
	"github.com/blockmill/blockmill/pool/ready"
)

// crashRun is a process that dies at its nth change of store or disk directory.
type crashRun struct {
	t   *testing.T
	dir string
	v   *blockiotest.MemVolume

	left atomic.Int64 // changes until it dies
	dead atomic.Bool

	made, gone, unsure map[pool.DiskID]bool
	image              pool.ImageID
	plain              pool.ImageID // that has no pool
}

func (c *crashRun) tick() bool {
	if !c.dead.Load() && c.left.Add(-1) == 0 {
		c.dead.Store(true)
	}
	return c.dead.Load()
}

func (c *crashRun) step(string) error {
	if c.tick() {
		return errDead
	}
	return nil
}

func (c *crashRun) open(t *testing.T, v *blockiotest.MemVolume, dir string, step func(string) error) (*cas.Store, *pool.Node, error) {
	s, err := cas.Open(t.Context(), cas.Options{Volume: v})
	if err != nil {
		return nil, nil, err
	}
	n, err := pool.Open(t.Context(), pool.Options{Store: s, Disks: []provision.Options{{Path: dir, Reserve: -1, Step: step}}})
	if err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	return s, n, nil
}

// work makes and deletes disks until something fails.
func (c *crashRun) work(n *pool.Node) error {
	ctx := c.t.Context()
	makeOf := func(img pool.ImageID, method provision.Method) (pool.DiskID, error) {
		d := diskOf("", img)
		d.Method = method
		d, err := n.ReserveDisk(d)
		if err != nil {
			return "", err
		}
		c.unsure[d.ID] = true
		if d, err = n.MakeDisk(ctx, d.ID, nil); err == nil {
			delete(c.unsure, d.ID)
			c.made[d.ID] = true
		}
		return d.ID, err
	}
	make := func(method provision.Method) (pool.DiskID, error) { return makeOf(c.image, method) }
	zeroth, err := makeOf(c.plain, "")
	if err != nil {
		return err
	}
	if _, err := makeOf(c.plain, ""); err != nil {
		return err
	}
	first, err := make("")
	if err != nil {
		return err
	}
	second, err := make(provision.Overlay)
	if err != nil {
		return err
	}
	if _, err := n.GrowDisk(ctx, first, 8<<20); err != nil {
		return err
	}
	for _, id := range []pool.DiskID{zeroth, first, second} {
		delete(c.made, id)
		c.unsure[id] = true
		if err := n.DeleteDisk(ctx, id); err != nil {
			return err
		}
		delete(c.unsure, id)
		c.gone[id] = true
	}
	_, err = make(provision.Copy)
	return err
}

// check opens what the process left, and holds it against what it was told.
func (c *crashRun) check(v *blockiotest.MemVolume, dir string) error {
	s, n, err := c.open(c.t, v, dir, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	defer n.Close()
	have := map[pool.DiskID]bool{}
	files := map[pool.BackingID]bool{}
	for d := range n.Disks(pool.Query{Folder: "f"}) {
		have[d.ID] = true
		if files[d.Backing] {
			return fmt.Errorf("two disks have %s", d.Backing)
		}
		files[d.Backing] = true
		if _, err := n.AttachDisk(d.ID); err != nil {
			return err
		}
		if c.gone[d.ID] {
			return fmt.Errorf("disk %s is back", d.ID)
		}
	}
	for id := range c.made {
		if !have[id] {
			return fmt.Errorf("disk %s is lost", id)
		}
	}
	for id := range have {
		if err := n.DeleteDisk(c.t.Context(), id); err != nil {
			return err
		}
	}
	if err := errors.Join(n.DeleteImage(c.t.Context(), c.image), n.DeleteImage(c.t.Context(), c.plain)); err != nil {
		return err
	}
	if err := n.Close(); err != nil {
		return err
	}
	if left := filesIn(c.t, dir); left > 0 {
		return fmt.Errorf("%d files are left", left)
	}
	return nil
}

// A process that dies at any change leaves what it was told, with what was not
// synced of the store lost or kept. BLOCKMILL_EXHAUSTIVE=1 has it die at every
// change, and not at every fifth.
func TestDiskCrash(t *testing.T) {
	t.Run("copies", func(t *testing.T) { testDiskCrash(t, t.TempDir()) })
	t.Run("clones", func(t *testing.T) { testDiskCrash(t, cloningDir(t)) })
}

func testDiskCrash(t *testing.T, below string) {
	serial := 0
	newDir := func() string {
		serial++
		return filepath.Join(below, fmt.Sprintf("disks%d", serial))
	}
	points, stride := 0, int64(5)
	if os.Getenv("BLOCKMILL_EXHAUSTIVE") != "" {
		stride = 1
	}
	for at := int64(1); ; at += stride {
		c := &crashRun{
			t: t, dir: newDir(), v: blockiotest.NewMemVolume(),
			made: map[pool.DiskID]bool{}, gone: map[pool.DiskID]bool{}, unsure: map[pool.DiskID]bool{},
		}
		if err := cas.Init(t.Context(), cas.Options{Volume: c.v}); err != nil {
			t.Fatal(err)
		}
		s, n, err := c.open(t, c.v, c.dir, c.step)
		if err != nil {
			t.Fatal(err)
		}
		img := named("image")
		img.Pooled = true
		img = makeImage(t, n, img, "guest")
		c.image = img.ID
		c.plain = makeImage(t, n, named("plain"), "other guest").ID
		// The golden base is there.
		if err := n.DeleteDisk(t.Context(), createDisk(t, n, diskOf("", c.plain)).ID); err != nil {
			t.Fatal(err)
		}
		if _, err := n.SetPool(t.Context(), img.ID, ready.Settings{Capacity: 2}); err != nil {
			t.Fatal(err)
		}
		waitReady(t, n, img.ID)
		c.v.Inject(blockiotest.Fault{N: 1, Sticky: true, Match: func(blockiotest.Op) bool { return c.tick() }})
		c.left.Store(at)
		err = c.work(n)
		if !c.dead.Load() && err != nil {
			t.Fatal(err)
		}
		finished := !c.dead.Load()
		c.dead.Store(true)
		if err := errors.Join(n.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
		for _, crash := range []blockiotest.Crash{{}, {Data: blockiotest.Kept, Names: blockiotest.Kept}} {
			clone := c.v.CrashClone(crash)
			dir := newDir()
			if out, err := exec.Command("cp", "-a", c.dir, dir).CombinedOutput(); err != nil {
				t.Fatalf("cp: %v: %s", err, out)
			}
			if err := c.check(clone, dir); err != nil {
				t.Errorf("died at change %d, %v: %v", at, crash, err)
			}
		}
		if finished {
			break
		}
		points++
	}
	if points*int(stride) < 40 {
		t.Errorf("only %d points", points)
	}
	t.Logf("%d points", points)
}
