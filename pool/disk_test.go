package pool_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
	"github.com/blockmill/blockmill/pool/ready"
)

// openDisks opens a node with a disk directory.
func openDisks(t *testing.T, s *cas.Store, dir string, methods ...provision.Method) *pool.Node {
	t.Helper()
	n, err := pool.Open(t.Context(), pool.Options{
		Store: s,
		Disks: []provision.Options{{Path: dir, Methods: methods, Reserve: -1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func diskOf(name string, img pool.ImageID) pool.Disk {
	return pool.Disk{Meta: pool.Meta[pool.DiskID]{Folder: "f", Name: name}, Source: pool.Source{Image: img}}
}

func createDisk(t *testing.T, n *pool.Node, d pool.Disk) pool.Disk {
	t.Helper()
	d, err := n.CreateDisk(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// waitReady waits until a pool has as many disks as it wants.
func waitReady(t *testing.T, n *pool.Node, id pool.ImageID) ready.Stat {
	t.Helper()
	var after uint64
	for {
		events, more := n.Pools().Events(after)
		if len(events) > 0 {
			after = events[len(events)-1].Serial
		}
		st, err := n.Pools().Stat(ready.Key(id))
		if err != nil {
			t.Fatal(err)
		}
		if st.Ready >= st.Target && st.Making == 0 {
			return st
		}
		select {
		case <-more:
		case <-t.Context().Done():
			t.Fatal("the pool was not filled")
		}
	}
}

func filesIn(t *testing.T, dir string) int {
	t.Helper()
	n := 0
	for _, sub := range []string{"tmp", "bases", "disks"} {
		left, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			t.Fatal(err)
		}
		n += len(left)
	}
	return n
}

// A disk comes from the pool, lives through a restart, outlives its image, and
// leaves nothing.
func TestDiskLife(t *testing.T) {
	for _, methods := range [][]provision.Method{nil, {provision.Overlay}, {provision.Copy}, {provision.ReadyMade}} {
		s := makeStore(t, blockiotest.NewMemVolume())
		dir := t.TempDir()
		n := openDisks(t, s, dir, methods...)
		img := named("image")
		img.Pooled = true
		img = makeImage(t, n, img, "guest")
		waitReady(t, n, img.ID)
		d := createDisk(t, n, diskOf("disk", img.ID))
		if d.Size != img.MinDiskSize {
			t.Errorf("size %d, want %d", d.Size, img.MinDiskSize)
		}
		if _, err := n.CreateDisk(t.Context(), diskOf("disk", img.ID)); !errors.Is(err, pool.ErrNameTaken) {
			t.Errorf("the same name: %v", err)
		}
		big := diskOf("big", img.ID)
		big.Size = 16 << 20
		big = createDisk(t, n, big)
		if big, err := n.GrowDisk(t.Context(), big.ID, 32<<20); err != nil || big.Size != 32<<20 {
			t.Errorf("grown to %d, %v", big.Size, err)
		}
		if _, err := n.GrowDisk(t.Context(), big.ID, 16<<20); !errors.Is(err, pool.ErrDiskSize) {
			t.Errorf("shrink: %v", err)
		}
		a, err := n.AttachDisk(d.ID)
		if err != nil || a.Format != d.Format || a.Method != d.Method || a.QEMU == "" {
			t.Errorf("attach: %+v, %v", a, err)
		}
		if err := n.DeleteImage(t.Context(), img.ID); err != nil {
			t.Fatal(err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.GC(t.Context(), cas.GCOptions{}); err != nil {
			t.Fatal(err)
		}
		n = openDisks(t, s, dir, methods...)
		for _, d := range []pool.Disk{d, big} {
			snap, err := n.ReserveSnapshot(pool.Snapshot{SourceDisk: d.ID})
			if err == nil {
				snap, err = n.MakeSnapshot(t.Context(), snap.ID, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			if n := guestText(t, s, snap.Manifest); n != "guest" {
				t.Errorf("%s: disk holds %q", d.Method, n)
			}
			if err := n.DeleteDisk(t.Context(), d.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := n.Disk(d.ID); !errors.Is(err, pool.ErrNotFound) {
				t.Errorf("deleted, but %v", err)
			}
			if err := n.DeleteSnapshot(t.Context(), snap.ID); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		if left := filesIn(t, dir); left > 0 {
			t.Errorf("%v: %d files left", methods, left)
		}
	}
}

// guestText reads what an image begins with.
func guestText(t *testing.T, s *cas.Store, m cas.ManifestID) string {
	t.Helper()
	img, err := s.OpenImage(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	p := make([]byte, 5)
	if _, err := img.ReadAt(p, 0); err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// A disk that is written to is neither stored, grown nor deleted.
func TestDiskUse(t *testing.T) {
	s := makeStore(t, blockiotest.NewMemVolume())
	n := openDisks(t, s, t.TempDir())
	d := createDisk(t, n, pool.Disk{Size: 8 << 20})
	if d.Method != provision.Blank {
		t.Errorf("method %s, want %s", d.Method, provision.Blank)
	}
	_, release, err := n.UseDisk(d.ID, true)
	if err != nil {
		t.Fatal(err)
	}
	snap, err := n.ReserveSnapshot(pool.Snapshot{SourceDisk: d.ID})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.MakeSnapshot(t.Context(), snap.ID, nil); !errors.Is(err, pool.ErrInUse) {
		t.Errorf("snapshot: %v, want %v", err, pool.ErrInUse)
	}
	if _, err := n.GrowDisk(t.Context(), d.ID, 16<<20); !errors.Is(err, pool.ErrInUse) {
		t.Errorf("grow: %v, want %v", err, pool.ErrInUse)
	}
	if err := n.DeleteDisk(t.Context(), d.ID); !errors.Is(err, pool.ErrInUse) {
		t.Errorf("delete: %v, want %v", err, pool.ErrInUse)
	}
	if _, _, err := n.UseDisk(d.ID, false); !errors.Is(err, pool.ErrInUse) {
		t.Errorf("read: %v, want %v", err, pool.ErrInUse)
	}
	release()
	release()
	_, r1, err := n.UseDisk(d.ID, false)
	if err != nil {
		t.Fatal(err)
	}
	_, r2, err := n.UseDisk(d.ID, false)
	if err != nil {
		t.Fatal(err)
	}
	r1()
	if _, _, err := n.UseDisk(d.ID, true); !errors.Is(err, pool.ErrInUse) {
		t.Errorf("write beside a reader: %v, want %v", err, pool.ErrInUse)
	}
	r2()
	if err := n.DeleteDisk(t.Context(), d.ID); err != nil {
		t.Error(err)
	}
}

// A pool whose settings change while its image is deleted goes with the image, and
// the last of two changes is the one that is kept.
func TestSetPoolRaces(t *testing.T) {
	s := makeStore(t, blockiotest.NewMemVolume())
	dir := t.TempDir()
	n := openDisks(t, s, dir)
	img := named("kept")
	img.Pooled = true
	img = makeImage(t, n, img, "guest")
	for i := range 300 {
		gone := named(fmt.Sprintf("gone-%d", i))
		gone.Pooled = true
		gone = makeImage(t, n, gone, "guest")
		var all sync.WaitGroup
		all.Go(func() {
			if err := n.DeleteImage(t.Context(), gone.ID); err != nil {
				t.Error(err)
			}
		})
		for k := range 3 {
			all.Go(func() {
				// It may be deleted already.
				_, _ = n.SetPool(t.Context(), gone.ID, ready.Settings{Max: -1})
			})
			all.Go(func() {
				if _, err := n.SetPool(t.Context(), img.ID, ready.Settings{Max: 4*i + k + 1}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	if all := n.Pools().Stats(); len(all) != 1 {
		t.Errorf("%d pools, of one image", len(all))
	}
	now, err := n.Pools().Stat(ready.Key(img.ID))
	if err := errors.Join(err, n.Close()); err != nil {
		t.Fatal(err)
	}
	n = openDisks(t, s, dir)
	if kept, err := n.Pools().Stat(ready.Key(img.ID)); err != nil || kept.Settings != now.Settings {
		t.Errorf("after a restart %+v, %v, before it %+v", kept.Settings, err, now.Settings)
	}
}

// The settings of a pool outlive a restart, and go with the image.
func TestSetPool(t *testing.T) {
	s := makeStore(t, blockiotest.NewMemVolume())
	dir := t.TempDir()
	n := openDisks(t, s, dir)
	plain := makeImage(t, n, named("plain"), "guest")
	if _, err := n.SetPool(t.Context(), plain.ID, ready.Settings{}); !errors.Is(err, pool.ErrNotPooled) {
		t.Errorf("not pooled: %v", err)
	}
	img := named("image")
	img.Pooled = true
	img = makeImage(t, n, img, "guest")
	if _, err := n.SetPool(t.Context(), img.ID, ready.Settings{Min: 3, Max: 2}); !errors.Is(err, ready.ErrSettings) {
		t.Errorf("bad settings: %v", err)
	}
	want := ready.Settings{Min: 2, Max: 5}
	if _, err := n.SetPool(t.Context(), img.ID, want); err != nil {
		t.Fatal(err)
	}
	if st := waitReady(t, n, img.ID); st.Ready != 2 {
		t.Errorf("%d ready, want 2", st.Ready)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = openDisks(t, s, dir)
	st, err := n.Pools().Stat(ready.Key(img.ID))
	if err != nil || st.Settings != want || st.Ready != 2 {
		t.Errorf("after a restart %+v, %v", st, err)
	}
	if err := n.DeleteImage(t.Context(), img.ID); err != nil {
		t.Fatal(err)
	}
	for r, err := range s.Records(t.Context(), "pool") {
		t.Errorf("settings are left: %s, %v", r.ID, err)
	}
	if left := filesIn(t, dir); left > 0 {
		t.Errorf("%d files left", left)
	}
}

// A ready disk whose files are gone is no hit: the create makes its own.
func TestReadyDiskIsGone(t *testing.T) {
	s := makeStore(t, blockiotest.NewMemVolume())
	dir := t.TempDir()
	n := openDisks(t, s, dir, provision.Overlay)
	img := named("image")
	img.Pooled = true
	img = makeImage(t, n, img, "guest")
	waitReady(t, n, img.ID)
	made, err := filepath.Glob(filepath.Join(dir, "disks", "*"))
	if err != nil || len(made) == 0 {
		t.Fatalf("no ready disks: %v", err)
	}
	for _, name := range made {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	big := diskOf("big", img.ID)
	big.Size = 16 << 20
	createDisk(t, n, big)
	st, err := n.Pools().Stat(ready.Key(img.ID))
	if err != nil {
		t.Fatal(err)
	}
	if st.Hits != 0 || st.Misses != 1 || st.Discards == 0 {
		t.Errorf("%d hits, %d misses, %d discards; want a miss and what was discarded for it", st.Hits, st.Misses, st.Discards)
	}
}

// A disk that is to be in one directory, or of one method, is no other that is ready.
func TestReadyDiskDoesNotSuit(t *testing.T) {
	s := makeStore(t, blockiotest.NewMemVolume())
	overlays, copies := t.TempDir(), t.TempDir()
	n, err := pool.Open(t.Context(), pool.Options{
		Store: s,
		Disks: []provision.Options{
			{Path: overlays, Methods: []provision.Method{provision.Overlay}, Reserve: -1},
			{Path: copies, Methods: []provision.Method{provision.ReadyMade, provision.Copy}, Reserve: -1},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	img := named("image")
	img.Pooled = true
	img = makeImage(t, n, img, "guest")
	before := waitReady(t, n, img.ID)
	there, method := diskOf("there", img.ID), diskOf("method", img.ID)
	there.Dir, method.Method = copies, provision.ReadyMade
	if d := createDisk(t, n, there); d.Dir != copies {
		t.Errorf("the disk is in %s, want %s", d.Dir, copies)
	}
	if d := createDisk(t, n, method); d.Method != provision.ReadyMade || d.Dir != copies {
		t.Errorf("the disk is made by %s in %s, want %s", d.Method, d.Dir, provision.ReadyMade)
	}
	if now := waitReady(t, n, img.ID); now.Hits != 0 || now.Misses < 1 || now.Discards != before.Discards {
		t.Errorf("counts %+v, before %+v", now.Counts, before.Counts)
	}
	if d := createDisk(t, n, diskOf("any", img.ID)); d.Dir != overlays || d.Method != provision.Overlay {
		t.Errorf("the disk is made by %s in %s", d.Method, d.Dir)
	}
}

// A create of a size that no file can have takes no ready disk away.
func TestReadyDiskCannotGrow(t *testing.T) {
	s := makeStore(t, blockiotest.NewMemVolume())
	n := openDisks(t, s, t.TempDir(), provision.ReadyMade, provision.Copy)
	img := named("image")
	img.Pooled = true
	img = makeImage(t, n, img, "guest")
	before := waitReady(t, n, img.ID)
	const most = 256 << 20
	blockiotest.LimitFiles(t, most)
	large := diskOf("large", img.ID)
	large.Size = most + 4<<20
	if _, err := n.CreateDisk(t.Context(), large); !errors.Is(err, provision.ErrFileSize) {
		t.Errorf("%v, want %v", err, provision.ErrFileSize)
	}
	if now := waitReady(t, n, img.ID); now.Discards != before.Discards || now.Ready < before.Ready {
		t.Errorf("%d ready, %d discards; %d and %d before", now.Ready, now.Discards, before.Ready, before.Discards)
	}
}
