package cas

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// RebuildIndex removes the index of a store that is not open, and makes it again
// from the segments.
func RebuildIndex(ctx context.Context, opts Options) error {
	if err := removeIndex(opts.IndexDir); err != nil {
		return fmt.Errorf("rebuild index: %w", err)
	}
	s, err := Open(ctx, opts)
	if err != nil {
		return fmt.Errorf("rebuild index: %w", err)
	}
	if err := s.Close(); err != nil {
		return fmt.Errorf("rebuild index: %w", err)
	}
	return nil
}

func removeIndex(dir string) (err error) {
	lock, err := lockIndex(dir)
	if err != nil || dir == "" {
		return err
	}
	defer func() { err = errors.Join(err, unlock(lock)) }()
	return os.RemoveAll(filepath.Join(dir, databaseDir))
}
