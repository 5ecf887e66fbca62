package provision

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"
)

// A clone carries the record of its disk in an extended attribute until the store
// has it:
//
//	 0  8  "bmrecord"
//	 8  8  XXH64 of the rest, little-endian
//	16     the record's payload
//
// The attribute is set last, so that whatever file system has it has the clone, and
// is made durable by the clone's own sync.
const (
	carriedName  = "user.blockmill.record"
	carriedMagic = "bmrecord"
	carriedHead  = len(carriedMagic) + 8
	// maxCarried is what every file system takes that makes clones.
	maxCarried = 3 << 10
)

// carry gives a file a record. It says false when the file cannot have one.
func carry(path string, record []byte) (bool, error) {
	if len(record) == 0 || carriedHead+len(record) > maxCarried {
		return false, nil
	}
	p := append([]byte(carriedMagic), make([]byte, 8)...)
	binary.LittleEndian.PutUint64(p[len(carriedMagic):], xxhash.Sum64(record))
	p = append(p, record...)
	err := unix.Lsetxattr(path, carriedName, p, unix.XATTR_CREATE)
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

var errCarried = errors.New("it carries a damaged record")

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
	case n < carriedHead, string(p[:len(carriedMagic)]) != carriedMagic,
		binary.LittleEndian.Uint64(p[len(carriedMagic):]) != xxhash.Sum64(p[carriedHead:n]):
		return nil, errCarried
	}
	return p[carriedHead:n], nil
}

// uncarry takes the record from a file, if it has one; nothing makes that durable.
func uncarry(path string) error {
	err := unix.Lremovexattr(path, carriedName)
	if err == nil || errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return fmt.Errorf("remove %s of %s: %w", carriedName, path, err)
}
