package pool_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
)

const carriedName = "user.blockmill.record"

// cloningDir makes an empty directory of a file system that clones files.
func cloningDir(t *testing.T) string {
	t.Helper()
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "image")
	r := &powerRig{t: t}
	if os.Geteuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("needs root")
	}
	r.sparse(file, 600<<20)
	r.run("mkfs.xfs", "-q", "-m", "reflink=1", file)
	r.run("mount", "-o", "loop", file, dir)
	t.Cleanup(func() { r.unmount(dir) })
	return dir
}

// carriedBy gives the attribute of a disk's file, nil without one.
func carriedBy(t *testing.T, path string) []byte {
	t.Helper()
	p := make([]byte, 4096)
	n, err := unix.Getxattr(path, carriedName, p)
	if errors.Is(err, unix.ENODATA) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return p[:n]
}

// summed ends an attribute with its checksum.
func summed(p []byte) []byte { return binary.LittleEndian.AppendUint64(p, xxhash.Sum64(p)) }

// carrying is a node that has made a disk whose record the store does not take.
type carrying struct {
	*pool.Node
	v     *blockiotest.MemVolume
	store *cas.Store
	dir   string
	disk  pool.Disk
	path  string                 // of the disk
	step  atomic.Pointer[string] // the latest change of the directory
}

func makeCarrying(t *testing.T) *carrying {
	t.Helper()
	c := &carrying{v: blockiotest.NewMemVolume(), dir: filepath.Join(cloningDir(t), "disks")}
	c.store = makeStore(t, c.v)
	n, err := pool.Open(t.Context(), pool.Options{Store: c.store, Disks: []provision.Options{{
		Path: c.dir, Reserve: -1, Step: func(step string) error { c.step.Store(&step); return nil },
	}}})
	if err != nil {
		t.Fatal(err)
	}
	c.Node = n
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	img := makeImage(t, c.Node, named("image"), "guest")
	createDisk(t, c.Node, diskOf("first", img.ID)) // with the golden base
	c.v.Inject(blockiotest.Fault{Ops: blockiotest.OpCreate, N: 1, Sticky: true})
	d, err := c.ReserveDisk(diskOf("second", img.ID))
	if err != nil {
		t.Fatal(err)
	}
	if c.disk, err = c.MakeDisk(t.Context(), d.ID, []byte("submitted")); err != nil {
		t.Fatal(err)
	}
	if c.disk.Method != provision.Reflink {
		t.Fatalf("made by %s", c.disk.Method)
	}
	c.path = filepath.Join(c.dir, "disks", string(c.disk.Backing)+".raw")
	return c
}

// crashed opens what a crash leaves of it.
func (c *carrying) crashed(t *testing.T) (*cas.Store, *pool.Node, string) {
	t.Helper()
	dir := filepath.Join(filepath.Dir(c.dir), "crashed")
	if out, err := exec.Command("cp", "-a", "--reflink=always", c.dir, dir).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	s := openStore(t, c.v.CrashClone(blockiotest.Crash{}))
	return s, openDisks(t, s, dir), dir
}

func hasRecord(t *testing.T, s *cas.Store, id pool.DiskID) bool {
	t.Helper()
	_, err := s.Record(t.Context(), "disk", string(id))
	if err != nil && !errors.Is(err, cas.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// A disk is acknowledged while its file carries its record, and is there after a
// crash, with the name and the submission; then the store has the record.
func TestCarriedRecord(t *testing.T) {
	c := makeCarrying(t)
	if hasRecord(t, c.store, c.disk.ID) || carriedBy(t, c.path) == nil {
		t.Fatal("the store has the record, or the file has it not")
	}
	s, n, dir := c.crashed(t)
	got, err := n.Disk(c.disk.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "second" || got.Status != pool.Ready || got.Backing != c.disk.Backing || got.Dir != dir {
		t.Errorf("after the crash it is %+v", got)
	}
	if all := n.Submissions(); !slices.ContainsFunc(all, func(p []byte) bool { return string(p) == "submitted" }) {
		t.Errorf("submissions %q", all)
	}
	var names []string
	for d := range n.Disks(pool.Query{Folder: "f", Order: pool.ByName}) {
		names = append(names, d.Name)
	}
	if !slices.Equal(names, []string{"first", "second"}) {
		t.Errorf("listed: %q", names)
	}
	if !hasRecord(t, s, c.disk.ID) || carriedBy(t, filepath.Join(dir, "disks", string(c.disk.Backing)+".raw")) != nil {
		t.Error("the store does not have the record, or the file has it still")
	}
}

// A store that takes no records does not keep a node from being opened: the disk is
// listed, and goes on to carry its record.
func TestCarriedRecordWaitsAfterCrash(t *testing.T) {
	c := makeCarrying(t)
	dir := filepath.Join(filepath.Dir(c.dir), "crashed")
	if out, err := exec.Command("cp", "-a", "--reflink=always", c.dir, dir).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	v := c.v.CrashClone(blockiotest.Crash{})
	s := openStore(t, v)
	v.Inject(blockiotest.Fault{Ops: blockiotest.OpCreate, N: 1, Sticky: true})
	n, err := pool.Open(t.Context(), pool.Options{Store: s, Disks: []provision.Options{{Path: dir, Reserve: -1}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Disk(c.disk.ID); err != nil {
		t.Error(err)
	}
	path := filepath.Join(dir, "disks", string(c.disk.Backing)+".raw")
	if hasRecord(t, s, c.disk.ID) || carriedBy(t, path) == nil {
		t.Error("the store has the record, or the file has it not")
	}
	v.ClearFaults()
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if !hasRecord(t, s, c.disk.ID) || carriedBy(t, path) != nil {
		t.Error("the store does not have the record, or the file has it still")
	}
}

// While the store does not take the record, the disk can be had and not changed, and
// no more disks rely on it; the store has it as soon as it can.
func TestCarriedRecordWaits(t *testing.T) {
	c := makeCarrying(t)
	if _, err := c.AttachDisk(c.disk.ID); err != nil {
		t.Error(err)
	}
	name := "other"
	if _, err := c.UpdateDisk(t.Context(), c.disk.ID, pool.DiskEdit{Edit: pool.Edit{Name: &name}}); !errors.Is(err, blockiotest.ErrInjected) {
		t.Errorf("changed: %v", err)
	}
	if err := c.DeleteDisk(t.Context(), c.disk.ID); !errors.Is(err, blockiotest.ErrInjected) {
		t.Errorf("deleted: %v", err)
	}
	if last := *c.step.Load(); last == "retire" {
		t.Error("it was put aside")
	}
	if carriedBy(t, c.path) == nil {
		t.Error("the file has lost the record")
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ { // until the store was seen to fail
		d := diskOf("", c.disk.Source.Image)
		if _, err := c.CreateDisk(t.Context(), d); errors.Is(err, blockiotest.ErrInjected) {
			break
		} else if err != nil || i == 10_000 {
			t.Fatalf("create %d: %v", i, err)
		}
		<-tick.C
	}
	c.v.ClearFaults()
	for !hasRecord(t, c.store, c.disk.ID) || carriedBy(t, c.path) != nil {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the store has no record")
		}
	}
	if err := c.DeleteDisk(t.Context(), c.disk.ID); err != nil {
		t.Error(err)
	}
}

// What has been deleted stays so, though a crash brings back what its file carried.
func TestCarriedRecordOfDeleted(t *testing.T) {
	c := makeCarrying(t)
	was := carriedBy(t, c.path)
	c.v.ClearFaults()
	if err := c.Close(); err != nil { // which writes it
		t.Fatal(err)
	}
	if !hasRecord(t, c.store, c.disk.ID) {
		t.Fatal("the store has no record")
	}
	died := errors.New("died")
	n, err := pool.Open(t.Context(), pool.Options{Store: c.store, Disks: []provision.Options{{
		Path: c.dir, Reserve: -1, Step: func(step string) error {
			if step == "remove" {
				return died
			}
			return nil
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(n.DeleteDisk(t.Context(), c.disk.ID), n.Close()); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(c.path+".retired", carriedName, was, 0); err != nil {
		t.Fatal(err)
	}
	n = openDisks(t, c.store, c.dir)
	if _, err := n.Disk(c.disk.ID); !errors.Is(err, pool.ErrNotFound) {
		t.Errorf("it is back: %v", err)
	}
	if _, err := os.Stat(c.path + ".retired"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its file: %v", err)
	}
}

// A file whose record is damaged, or another's, is left alone and listed nowhere.
func TestCarriedRecordIsDamaged(t *testing.T) {
	for what, spoil := range map[string]func([]byte) []byte{
		"flipped": func(p []byte) []byte { p[len(p)/2] ^= 1; return p },
		"short":   func(p []byte) []byte { return p[:9] },
		"foreign": func([]byte) []byte { return []byte("something else") },
		"of another": func(p []byte) []byte {
			return summed(bytes.Replace(p[:len(p)-8], []byte(`"backing":"`), []byte(`"backing":"x`), 1))
		},
	} {
		c := makeCarrying(t)
		if err := unix.Setxattr(c.path, carriedName, spoil(carriedBy(t, c.path)), 0); err != nil {
			t.Fatal(err)
		}
		_, n, dir := c.crashed(t)
		if _, err := n.Disk(c.disk.ID); !errors.Is(err, pool.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "disks", string(c.disk.Backing)+".raw")); err != nil {
			t.Errorf("%s: its file: %v", what, err)
		}
	}
}

// A record in an attribute of a later version is refused, as any of a later version is.
func TestCarriedRecordOfLaterVersion(t *testing.T) {
	c := makeCarrying(t)
	p := carriedBy(t, c.path)
	p[8]++
	if err := unix.Setxattr(c.path, carriedName, summed(p[:len(p)-8]), 0); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, c.v.CrashClone(blockiotest.Crash{}))
	dir := filepath.Join(filepath.Dir(c.dir), "crashed")
	if out, err := exec.Command("cp", "-a", "--reflink=always", c.dir, dir).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	n, err := pool.Open(t.Context(), pool.Options{Store: s, Disks: []provision.Options{{Path: dir, Reserve: -1}}})
	if !errors.Is(err, cas.ErrNewerVersion) || !strings.Contains(err.Error(), filepath.Base(c.path)) {
		t.Errorf("opened: %v", err)
	}
	if n != nil {
		t.Error(n.Close())
	}
	if carriedBy(t, filepath.Join(dir, "disks", filepath.Base(c.path))) == nil {
		t.Error("the file has lost the record")
	}
}

// A record in an attribute without a version is read.
func TestCarriedRecordWithoutVersion(t *testing.T) {
	c := makeCarrying(t)
	p := carriedBy(t, c.path)
	record := p[16 : len(p)-8]
	old := binary.LittleEndian.AppendUint64([]byte("bmrecord"), xxhash.Sum64(record))
	if err := unix.Setxattr(c.path, carriedName, append(old, record...), 0); err != nil {
		t.Fatal(err)
	}
	_, n, _ := c.crashed(t)
	if _, err := n.Disk(c.disk.ID); err != nil {
		t.Error(err)
	}
}
