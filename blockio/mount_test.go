package blockio_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// filesystem is a place to test in.
type filesystem struct {
	name    string
	mkfs    []string // nil for none; the image's path is appended
	reflink bool
}

var filesystems = []filesystem{
	{name: "default"}, // that of the temporary directory
	{name: "tmpfs"},
	{name: "ramfs"}, // refuses direct I/O
	{name: "xfs", mkfs: []string{"mkfs.xfs", "-q"}, reflink: true},
	{name: "btrfs", mkfs: []string{"mkfs.btrfs", "-q"}, reflink: true},
}

// dir makes an empty directory on the file system for the time of the test.
func (f filesystem) dir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	switch {
	case f.name == "default":
	case f.mkfs == nil:
		needRoot(t, "mount")
		mount(t, dir, "-t", f.name, f.name)
	default:
		needRoot(t, "mount", f.mkfs[0])
		image := sparseFile(t, 400<<20)
		run(t, append(f.mkfs, image)...)
		mount(t, dir, "-o", "loop", image)
	}
	return dir
}

func mount(t testing.TB, dir string, args ...string) {
	t.Helper()
	run(t, append(append([]string{"mount"}, args...), dir)...)
	// Lazily: a process that a test beside this one is just starting may have
	// its files open for a moment still.
	t.Cleanup(func() { run(t, "umount", "-l", dir) })
}

// loopDevice makes a block device of n bytes.
func loopDevice(t testing.TB, n int64) string {
	t.Helper()
	needRoot(t, "losetup")
	dev := strings.TrimSpace(run(t, "losetup", "-f", "--show", sparseFile(t, n)))
	t.Cleanup(func() { run(t, "losetup", "-d", dev) })
	return dev
}

func sparseFile(t testing.TB, n int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(n); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// needRoot skips the test without root or the tools. With CI=true root must
// find the tools.
func needRoot(t testing.TB, tools ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing", tool)
		}
		t.Skipf("%s is missing", tool)
	}
}

func run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
