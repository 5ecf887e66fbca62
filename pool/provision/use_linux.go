package provision

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// QEMU locks single bytes of an image for each permission that it has taken
// (block/file-posix.c); this is the one for writing.
const qemuWriteLock = 101

// CheckUnused is ErrInUse while a QEMU has a disk's file open for writing. Other
// programs do not say. A file that is not there is not in use.
func (d *Directory) CheckUnused(b Backing) error {
	err := checkUnused(d.Path(b.ID, b.Format))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// checkUnused is ErrInUse while a QEMU has the file open for writing. Other
// programs do not say.
func checkUnused(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lk := unix.Flock_t{Type: unix.F_WRLCK, Start: qemuWriteLock, Len: 1}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lk); err != nil {
		return nil // a file system without locks
	}
	if lk.Type != unix.F_UNLCK {
		return fmt.Errorf("%s: %w", path, ErrInUse)
	}
	return nil
}
