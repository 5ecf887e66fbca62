package provision

import (
	"errors"
	"fmt"
	"syscall"
)

// Errors of directories; test with errors.Is.
var (
	// ErrNoSpace says that the directory's file system would be left with less
	// free space than its reserve.
	ErrNoSpace = errors.New("not enough free space")
	// ErrMethod says that a directory cannot make a disk that way.
	ErrMethod = errors.New("method is not possible here")
	// ErrFileSize says that no file of the directory's file system can be as
	// long as the disk.
	ErrFileSize = errors.New("the disk directory's file system holds no file of this size")
	// ErrShrink says that a disk would get smaller, or than its image.
	ErrShrink = errors.New("disks do not shrink")
	// ErrInUse says that a program has a disk's file open for writing.
	ErrInUse = errors.New("in use by another program")
	// ErrOtherStore says that a directory has the disks of another store.
	ErrOtherStore = errors.New("the directory belongs to another store")
	// ErrMissing says that the files of a disk are not there.
	ErrMissing = errors.New("files are missing")
)

// sized is the error of making files of a size: ErrFileSize when that is why.
func sized(size int64, err error) error {
	if errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("%d bytes: %w", size, ErrFileSize)
	}
	return err
}
