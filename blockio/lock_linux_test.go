package blockio_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio"
)

// TestUnlockOfCopies has a child with a lock's file, as it is between fork and exec.
func TestUnlockOfCopies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := blockio.LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	copies := 0
	for fd := range 1 << 10 {
		if name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err != nil || name != filepath.Join(dir, "lock") {
			continue
		}
		child, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(child)
		copies++
		break
	}
	if copies == 0 {
		t.Fatal("no file of the lock")
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if lock, err = blockio.LockDir(dir); err != nil {
		t.Fatal(err)
	}
	_ = lock.Unlock() // it was had, which is what counts
}
