package blockio

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrLocked says that another process, or another part of this one, has the
// directory.
var ErrLocked = errors.New("locked by another process")

// lockName is the file inside a directory that carries its lock.
const lockName = "lock"

// DirLock is the lock of a directory. The kernel drops it when the process
// ends, however that happens.
type DirLock struct{ file *os.File }

// LockDir locks a directory for this process; ErrLocked when it is taken. The
// lock file stays behind, as a file that is removed could be locked twice.
func LockDir(path string) (*DirLock, error) {
	name := filepath.Join(path, lockName)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	err = retry(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if err == unix.EWOULDBLOCK {
		err = ErrLocked
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return &DirLock{file: f}, nil
}

// Unlock gives the lock back. A child that is just being started has the file too, so
// that closing it is not enough.
func (l *DirLock) Unlock() error {
	err := unix.Flock(int(l.file.Fd()), unix.LOCK_UN)
	if err := errors.Join(err, l.file.Close()); err != nil {
		return fmt.Errorf("unlock %s: %w", l.file.Name(), err)
	}
	return nil
}
