package fetch

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// spoolFile makes a file without a name in dir: whatever happens, nothing is left
// of it.
func spoolFile(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err == nil || !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) {
		if err != nil {
			return nil, &spoolError{err}
		}
		return f, nil
	}
	// The file system cannot do that: the name is there for a moment.
	f, err = os.CreateTemp(dir, ".blockmill-fetch-*")
	if err == nil {
		err = os.Remove(f.Name())
	}
	if err != nil {
		return nil, &spoolError{err}
	}
	return f, nil
}
