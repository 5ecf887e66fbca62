package provision_test

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
	mkfs    []string // nil for that of the temporary directory
	reflink bool
}

var filesystems = []filesystem{
	{name: "default"},
	{name: "ext4", mkfs: []string{"mkfs.ext4", "-q"}},
	{name: "xfs", mkfs: []string{"mkfs.xfs", "-q"}, reflink: true},
	{name: "btrfs", mkfs: []string{"mkfs.btrfs", "-q"}, reflink: true},
}

// dir makes an empty directory on the file system for the time of the test.
func (f filesystem) dir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if f.mkfs == nil {
		return dir
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	image := filepath.Join(t.TempDir(), "image")
	file, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(600 << 20); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	run(t, append(f.mkfs, image)...)
	run(t, "mount", "-o", "loop", image, dir)
	// Lazily: a process that a test beside this one is just starting may have
	// its files open for a moment still.
	t.Cleanup(func() { run(t, "umount", "-l", dir) })
	return dir
}

// run runs a tool; with CI=true it must be there.
func run(t testing.TB, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(args[0]); err != nil && os.Getenv("CI") != "true" {
		t.Skipf("%s is missing", args[0])
	}
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
