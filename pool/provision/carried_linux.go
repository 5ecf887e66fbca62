package provision

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// carry gives a file a record. It says false when the file cannot have one.
func carry(path string, record []byte) (bool, error) {
	if len(record) == 0 || carriedFrame+len(record) > maxCarried {
		return false, nil
	}
	err := unix.Lsetxattr(path, carriedName, encodeCarried(record), unix.XATTR_CREATE)
	for _, none := range []error{unix.ENOTSUP, unix.EPERM, unix.E2BIG, unix.ENOSPC, unix.EDQUOT} {
		if errors.Is(err, none) {
			return false, nil
		}
	}
	if err != nil {
		return false, fmt.Errorf("set %s of %s: %w", carriedName, path, err)
	}
	return true, nil
}

// carried gives the record that a file carries, nil without one.
func carried(path string) ([]byte, error) {
	p := make([]byte, maxCarried)
	n, err := unix.Lgetxattr(path, carriedName, p)
	switch {
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
		return nil, nil
	case errors.Is(err, unix.ERANGE):
		return nil, errCarried
	case err != nil:
		return nil, fmt.Errorf("get %s of %s: %w", carriedName, path, err)
	}
	return decodeCarried(p[:n])
}

// uncarry takes the record from a file, if it has one; nothing makes that durable.
func uncarry(path string) error {
	err := unix.Lremovexattr(path, carriedName)
	if err == nil || errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return fmt.Errorf("remove %s of %s: %w", carriedName, path, err)
}
