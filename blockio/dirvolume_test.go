package blockio_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
)

func openDirVolume(t *testing.T, dir string) *blockio.DirVolume {
	t.Helper()
	v, err := blockio.NewDirVolume(dir, blockio.DirVolumeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestDirVolume(t *testing.T) {
	t.Parallel()
	for _, f := range filesystems {
		if f.reflink {
			continue // their images are slow to sync, and TestDevice has them
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			blockiotest.TestVolume(t, func(t *testing.T) blockio.Volume { return openDirVolume(t, f.dir(t)) })
		})
	}
}

func TestDirVolumeDirect(t *testing.T) {
	t.Parallel()
	blockiotest.TestVolume(t, func(t *testing.T) blockio.Volume {
		v, err := blockio.NewDirVolume(t.TempDir(), blockio.DirVolumeOptions{Direct: blockio.DirectOn})
		if err != nil {
			t.Fatal(err)
		}
		return v
	})
}

// What was reserved and not needed is the file system's again after a commit.
func TestDirVolumeReserve(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, err := openDirVolume(t, dir).Create(t.Context(), "seg/a")
	if err != nil {
		t.Fatal(err)
	}
	blockio.Reserve(w, 8<<20)
	if _, err := w.WriteAt(make([]byte, 8<<10), 0); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), 8<<10); err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(filepath.Join(dir, "seg", "a"), &st); err != nil {
		t.Fatal(err)
	}
	if st.Size != 8<<10 || st.Blocks*512 > 1<<20 {
		t.Errorf("size %d with %d bytes of the file system, want 8 KiB and little more", st.Size, st.Blocks*512)
	}
}

func readObject(t *testing.T, v blockio.Volume, name string) (string, error) {
	t.Helper()
	p, err := blockio.ReadObject(t.Context(), v, name, 1<<20)
	return string(p), err
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, path[len(dir)+1:])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestDirVolumeReopen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := openDirVolume(t, dir)
	if err := blockio.WriteObject(t.Context(), v, "seg/a", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	// A writer that never ends, as when the process dies.
	w, err := v.Create(t.Context(), "seg/b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteAt([]byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"seg/a", "tmp/w2"}, files(t, dir)); diff != "" {
		t.Error(diff)
	}
	v = openDirVolume(t, dir)
	if diff := cmp.Diff([]string{"seg/a"}, files(t, dir)); diff != "" {
		t.Error(diff)
	}
	if got, err := readObject(t, v, "seg/a"); got != "hello" {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := v.Open(t.Context(), "seg/b"); !errors.Is(err, blockio.ErrNotFound) {
		t.Errorf("open what was not committed: %v", err)
	}
	if _, err := blockio.NewDirVolume(filepath.Join(dir, "none"), blockio.DirVolumeOptions{}); err == nil {
		t.Error("open without a directory: no error")
	}
}

// TestDirVolumeGone takes the directory away from under a volume, as when a disk
// is unmounted: that says nothing of what the disk holds.
func TestDirVolumeGone(t *testing.T) {
	t.Parallel()
	for name, replacement := range map[string]func(dir string) error{
		"nothing there": func(string) error { return nil },
		"a mount point": func(dir string) error { return os.Mkdir(dir, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "v")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			v := openDirVolume(t, dir)
			if err := blockio.WriteObject(t.Context(), v, "seg/a", []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Rename(dir, dir+".away"), replacement(dir)); err != nil {
				t.Fatal(err)
			}
			if err := v.Remove(t.Context(), "seg/a"); err == nil || errors.Is(err, blockio.ErrNotFound) {
				t.Errorf("remove: %v", err)
			}
			if _, err := v.Open(t.Context(), "seg/a"); err == nil || errors.Is(err, blockio.ErrNotFound) {
				t.Errorf("open: %v", err)
			}
			for e, err := range v.List(t.Context(), "seg") {
				if err == nil {
					t.Errorf("listed %s", e.Name)
				} else {
					name = ""
				}
			}
			if name != "" {
				t.Error("the list is empty, and no error")
			}
			if kinds, err := v.Kinds(t.Context()); err == nil {
				t.Errorf("kinds: %v", kinds)
			}
		})
	}
}

// TestDirVolumeStrangers shows that what is not an object is not listed, and
// that symbolic links are not followed.
func TestDirVolumeStrangers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := openDirVolume(t, dir)
	if err := blockio.WriteObject(t.Context(), v, "seg/a", nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lock", "seg/UPPER", "seg/.hidden"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "seg/dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a", filepath.Join(dir, "seg/link")); err != nil {
		t.Fatal(err)
	}
	v = openDirVolume(t, dir)
	for e, err := range v.List(t.Context(), "seg") {
		if err != nil || e.Name != "seg/a" {
			t.Errorf("listed %+v, %v", e, err)
		}
	}
	for _, name := range []string{"seg/link", "seg/dir"} {
		if _, err := v.Open(t.Context(), name); !errors.Is(err, blockio.ErrNotDevice) {
			t.Errorf("open %s: %v", name, err)
		}
	}
}

// TestCommitSyncFails shows that an object whose sync failed is dropped, and
// that the volume goes on.
func TestCommitSyncFails(t *testing.T) {
	t.Parallel()
	v := blockiotest.NewMemVolume()
	v.Inject(blockiotest.Fault{Ops: blockiotest.OpSync, N: 1, Err: syscall.EIO})
	err := blockio.WriteObject(t.Context(), v, "seg/a", []byte("x"))
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("commit: %v", err)
	}
	if want := "commit seg/a: sync tmp/w1: input/output error (what was written is dropped)"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if n := v.Count(blockiotest.OpSync); n != 1 {
		t.Errorf("%d syncs: a failed one must not be tried again", n)
	}
	if n := v.Count(blockiotest.OpRemove); n != 1 {
		t.Errorf("%d files removed", n)
	}
	if err := blockio.WriteObject(t.Context(), v, "seg/a", []byte("y")); err != nil {
		t.Fatal(err)
	}
	if got, err := readObject(t, v, "seg/a"); got != "y" {
		t.Errorf("read %q, %v", got, err)
	}
}

// TestDirSyncFails shows that a volume with a directory in an unknown state
// refuses changes, and still reads.
func TestDirSyncFails(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{".", "seg"} {
		v := blockiotest.NewMemVolume()
		if err := blockio.WriteObject(t.Context(), v, "rec/a", []byte("x")); err != nil {
			t.Fatal(err)
		}
		v.Inject(blockiotest.Fault{
			Ops: blockiotest.OpSyncDir, N: 1, Err: syscall.EIO,
			Match: func(op blockiotest.Op) bool { return op.Name == dir },
		})
		ctx := t.Context()
		_, again := v.Create(ctx, "seg/b")
		if again != nil {
			t.Fatal(again)
		}
		if err := blockio.WriteObject(ctx, v, "seg/a", nil); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: commit: %v", dir, err)
		}
		_, err := v.Open(ctx, "seg/a")
		if !errors.Is(err, blockio.ErrNotFound) {
			t.Errorf("%s: open what was not committed: %v", dir, err)
		}
		for _, err := range []error{blockio.WriteObject(ctx, v, "rec/b", nil), v.Remove(ctx, "rec/a")} {
			if !errors.Is(err, blockio.ErrPoisoned) || !errors.Is(err, syscall.EIO) {
				t.Errorf("%s: change after a failed sync: %v", dir, err)
			}
		}
		if got, err := readObject(t, v, "rec/a"); got != "x" {
			t.Errorf("%s: read %q, %v", dir, got, err)
		}
		if err := blockio.WriteObject(ctx, v.Reopen(), "rec/b", nil); err != nil {
			t.Errorf("%s: change after opening anew: %v", dir, err)
		}
	}
}

func TestLockDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := blockio.LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blockio.LockDir(dir); !errors.Is(err, blockio.ErrLocked) {
		t.Errorf("second lock: %v", err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if lock, err = blockio.LockDir(dir); err != nil {
		t.Fatal(err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := lock.Unlock(); err == nil {
		t.Error("second unlock: no error")
	}
	if _, err := blockio.LockDir(filepath.Join(dir, "none")); err == nil {
		t.Error("lock without a directory: no error")
	}
}

func TestDirVolumeReplaces(t *testing.T) {
	t.Parallel()
	blockiotest.TestReplacer(t, func(t *testing.T) blockiotest.ReplacingVolume { return openDirVolume(t, t.TempDir()) })
}
