package blockio

import (
	"os"
	"path/filepath"
)

// SyncPath makes durable what was done to a directory's entries, or to a file.
func SyncPath(path string) error {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
