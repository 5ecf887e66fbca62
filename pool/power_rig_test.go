package pool_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// powerKinds are the file systems that disks are held on when the power goes.
var powerKinds = []powerKind{
	{"ext4", []string{"mkfs.ext4", "-q"}},
	{"xfs", []string{"mkfs.xfs", "-q"}},
	{"btrfs", []string{"mkfs.btrfs", "-q"}},
}

type powerKind struct {
	name string
	mkfs []string
}

// The parts of a rig's device: a file system for the store, whose syncs would
// write the journal for the disks too if it were theirs, and one for the disks.
const (
	powerStoreSize = 128 << 20
	powerDisksSize = 400 << 20
)

// powerRig is a device, which is a file on a file system that clones files: a
// clone is what the device holds at one moment. What is only in the memory of
// the file systems on the device is not in it, as with a power cut.
type powerRig struct {
	t      *testing.T
	kind   powerKind
	outer  string
	clones int
}

func newPowerRig(t *testing.T, kind powerKind) *powerRig {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	r := &powerRig{t: t, kind: kind, outer: t.TempDir()}
	file := filepath.Join(t.TempDir(), "outer")
	r.sparse(file, 16<<30)
	r.run("mkfs.xfs", "-q", "-m", "reflink=1", file)
	r.run("mount", "-o", "loop", file, r.outer)
	t.Cleanup(func() { r.unmount(r.outer) })
	return r
}

// device makes an empty device with its file systems, and names its file.
func (r *powerRig) device() string {
	file := filepath.Join(r.outer, "device")
	r.sparse(file, powerStoreSize+powerDisksSize)
	store, disks := r.attach(file, 0, powerStoreSize), r.attach(file, powerStoreSize, powerDisksSize)
	r.run("mkfs.ext4", "-q", store)
	r.run(append(r.kind.mkfs, disks)...)
	r.run("losetup", "-d", store)
	r.run("losetup", "-d", disks)
	return file
}

// freeze gives a new device as the file's is at one moment of the call.
func (r *powerRig) freeze(file string) string {
	r.t.Helper()
	r.clones++
	name := fmt.Sprintf("%s/frozen%d", r.outer, r.clones)
	src, err := os.Open(file)
	if err != nil {
		r.t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.Create(name)
	if err != nil {
		r.t.Fatal(err)
	}
	defer dst.Close()
	if err := unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())); err != nil {
		r.t.Fatal(err)
	}
	return name
}

// mount mounts both file systems of a device below a new directory, until
// unmount is called.
func (r *powerRig) mount(file string) (dir string, unmount func()) {
	r.t.Helper()
	dir = r.t.TempDir()
	if r.kind.name == "btrfs" {
		r.run("btrfs", "device", "scan", "--forget") // an earlier clone, which has the same id
	}
	var undo []func()
	for _, part := range []struct {
		name      string
		off, size int64
	}{{"store", 0, powerStoreSize}, {"disks", powerStoreSize, powerDisksSize}} {
		at := filepath.Join(dir, part.name)
		if err := os.Mkdir(at, 0o755); err != nil {
			r.t.Fatal(err)
		}
		dev := r.attach(file, part.off, part.size)
		r.run("mount", dev, at)
		undo = append(undo, func() {
			r.unmount(at)
			r.run("losetup", "-d", dev)
		})
	}
	mounted := true
	unmount = func() {
		if !mounted {
			return
		}
		mounted = false
		for _, f := range undo {
			f()
		}
	}
	r.t.Cleanup(unmount)
	return dir, unmount
}

func (r *powerRig) attach(file string, off, size int64) string {
	r.t.Helper()
	return strings.TrimSpace(r.run("losetup", "-f", "--show", "--offset", fmt.Sprint(off), "--sizelimit", fmt.Sprint(size), file))
}

func (r *powerRig) sparse(name string, size int64) {
	r.t.Helper()
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Truncate(name, size); err != nil {
		r.t.Fatal(err)
	}
}

// unmount tries for a while: a process that a test beside this one is just
// starting may have files open for a moment still. One that has mounts of its own,
// as browsers do, may keep what it saw of ours for as long as it runs.
func (r *powerRig) unmount(dir string) {
	r.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 100 {
		if unix.Unmount(dir, 0) != unix.EBUSY {
			return
		}
		<-tick.C
	}
	r.t.Logf("%s stays in use", dir)
	r.run("umount", "-l", dir)
}

// run runs a tool; with CI=true it must be there.
func (r *powerRig) run(args ...string) string {
	r.t.Helper()
	if _, err := exec.LookPath(args[0]); err != nil && os.Getenv("CI") != "true" {
		r.t.Skipf("%s is missing", args[0])
	}
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
