package badgerdb

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Options are those of a database in dir, or in memory when dir is empty. Its messages
// begin with name.
func Options(dir, name string, log *slog.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithInMemory(dir == "").
		WithSyncWrites(true).
		WithDetectConflicts(false).
		WithCompression(options.None).
		WithMetricsEnabled(false).
		WithNumMemtables(2).
		WithValueLogFileSize(1 << 20).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithNumCompactors(2).
		WithLogger(logger{name, log})
}

// Open opens a database. The check, if there is one, is the first to read it, and closes
// it with an error.
func Open(opt badger.Options, check func(*badger.DB) error) (db *badger.DB, err error) {
	// Badger panics over some kinds of damage, also when it reads.
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, fmt.Errorf("damaged database: %v", r)
		}
	}()
	if err := dropEmptyLogs(opt.Dir); err != nil {
		return nil, err
	}
	if db, err = badger.Open(opt); err != nil || check == nil {
		return db, err
	}
	if err := check(db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// dropEmptyLogs removes the logs that a process was about to begin when it was
// killed. They hold nothing, and Badger refuses to open a directory that has one.
func dropEmptyLogs(dir string) error {
	if dir == "" {
		return nil
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil {
		return err
	}
	for _, name := range names {
		if st, err := os.Stat(name); err == nil && st.Size() == 0 {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}
