package operation

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/badgerdb"
)

// The keys of the database begin with what they are, and end with an operation's
// id. Only the first outlives the operation's end.
const (
	recordKey  = 'o' // → record
	requestKey = 'r' // → the request, marshalled
	privateKey = 'p' // → private data
	sealedKey  = 'e' // → both in one, sealed; see keys
	cancelKey  = 'c' // → empty: somebody cancelled it
	attemptKey = 'a' // → how often it was begun, one byte

	// prunedKey, without an id, leads to the time until which the history may
	// have gaps.
	prunedKey = 'w'

	// maxValue bounds requests and private data.
	maxValue = 512 << 10
)

// pendingKeys are those that go when an operation ends.
var pendingKeys = [...]byte{requestKey, privateKey, sealedKey, cancelKey, attemptKey}

// database is Badger with small tables and all values beside their keys. Every
// write is synced, together with those that came while the one before was.
type database struct {
	db   *badger.DB
	lock *blockio.DirLock
	commits
}

// openDatabase opens the database in dir, or in memory when dir is empty. One that
// cannot be used is removed and begun again, empty, where a new one can be.
func openDatabase(dir string, log *slog.Logger) (*database, error) {
	if dir == "" {
		return tryDatabase("", log)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open operations: %w", err)
	}
	lock, err := blockio.LockDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open operations: %w", err)
	}
	dir = filepath.Join(dir, "badger")
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		// beginAnew may have been cut short.
		if err := os.Rename(dir+asideSuffix, dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			log.Warn("operations of before stay put aside", "dir", dir+asideSuffix, "reason", err)
		}
	}
	d, err := tryDatabase(dir, log)
	if err != nil {
		d, err = beginAnew(dir, err, log)
	}
	if err != nil {
		return nil, fmt.Errorf("open operations: %w", errors.Join(err, lock.Unlock()))
	}
	d.lock = lock
	return d, nil
}

// asideSuffix is that of a database that could not be opened.
const asideSuffix = ".unreadable"

// beginAnew opens an empty database in the place of one that cannot be opened. When
// that cannot be opened either, as where the disk is full, the old one was not to
// blame and stays.
func beginAnew(dir string, why error, log *slog.Logger) (*database, error) {
	aside := dir + asideSuffix
	if err := errors.Join(os.RemoveAll(aside), os.Rename(dir, aside)); err != nil {
		return nil, errors.Join(why, err)
	}
	d, err := tryDatabase(dir, log)
	if err != nil {
		return nil, errors.Join(why, os.RemoveAll(dir), os.Rename(aside, dir))
	}
	log.Warn("the operations cannot be read and are begun anew", "dir", dir, "reason", why)
	if err := os.RemoveAll(aside); err != nil {
		log.Warn("operations that cannot be read are left over", "dir", aside, "reason", err)
	}
	return d, nil
}

func tryDatabase(dir string, log *slog.Logger) (*database, error) {
	db, err := badgerdb.Open(badgerdb.Options(dir, "operations", log).
		WithMemTableSize(8<<20).
		WithValueThreshold(maxValue*2), nil)
	if err != nil {
		return nil, fmt.Errorf("open operations %s: %w", dir, err)
	}
	d := &database{db: db}
	d.begin(db)
	return d, nil
}

func (d *database) close() error {
	d.end()
	err := d.db.Close()
	if d.lock != nil {
		err = errors.Join(err, d.lock.Unlock())
	}
	if err != nil {
		return fmt.Errorf("close operations: %w", err)
	}
	return nil
}

// read gives a value, nil when there is none.
func (d *database) read(kind byte, id string) (value []byte, err error) {
	err = d.db.View(func(tx *badger.Txn) error {
		item, err := tx.Get([]byte(key(kind, id)))
		if err != nil {
			return err
		}
		value, err = item.ValueCopy(nil)
		return err
	})
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	return value, err
}

// scan calls each with the ids and values of a kind of key.
func (d *database) scan(kind byte, each func(id string, value []byte)) error {
	return d.db.View(func(tx *badger.Txn) error {
		it := tx.NewIterator(badger.IteratorOptions{Prefix: []byte{kind}, PrefetchValues: true, PrefetchSize: 64})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			value, err := it.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			each(string(it.Item().Key()[1:]), value)
		}
		return nil
	})
}

func key(kind byte, id string) string { return string(rune(kind)) + id }
