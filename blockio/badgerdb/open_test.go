package badgerdb_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/blockmill/blockmill/blockio/badgerdb"
)

func options(dir string) badger.Options {
	return badgerdb.Options(dir, "table", slog.New(slog.DiscardHandler)).WithMemTableSize(1 << 20).WithValueThreshold(1 << 10)
}

func set(db *badger.DB) error {
	return db.Update(func(tx *badger.Txn) error { return tx.Set([]byte("key"), []byte("value")) })
}

func get(db *badger.DB) error {
	return db.View(func(tx *badger.Txn) error {
		_, err := tx.Get([]byte("key"))
		return err
	})
}

func TestOpen(t *testing.T) {
	for name, dir := range map[string]string{"disk": t.TempDir(), "memory": ""} {
		t.Run(name, func(t *testing.T) {
			db, err := badgerdb.Open(options(dir), set)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(get(db), db.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// A log that was about to be begun hinders nobody, and others are kept.
func TestEmptyLog(t *testing.T) {
	dir := t.TempDir()
	open := func(check func(*badger.DB) error) {
		t.Helper()
		db, err := badgerdb.Open(options(dir), check)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	open(set)
	if err := os.WriteFile(filepath.Join(dir, "00042.mem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open(get)
}

// A database that is not what its owner looks for is closed again.
func TestCheckFails(t *testing.T) {
	dir := t.TempDir()
	foreign := errors.New("foreign")
	if _, err := badgerdb.Open(options(dir), func(*badger.DB) error { return foreign }); !errors.Is(err, foreign) {
		t.Errorf("open: %v, want %v", err, foreign)
	}
	db, err := badgerdb.Open(options(dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// What Badger panics over is an error.
func TestPanic(t *testing.T) {
	var opened *badger.DB
	_, err := badgerdb.Open(options(""), func(db *badger.DB) error {
		opened = db
		panic("bad block")
	})
	if err == nil || !strings.Contains(err.Error(), "bad block") {
		t.Errorf("open: %v", err)
	}
	if err := opened.Close(); err != nil {
		t.Error(err)
	}
}

func TestMessages(t *testing.T) {
	var told bytes.Buffer
	log := badgerdb.Options("", "table", slog.New(slog.NewTextHandler(&told, nil))).Logger
	log.Debugf("%d", 1)
	log.Infof("%d", 2)
	log.Warningf("%d", 3)
	log.Errorf("%d", 4)
	got := told.String()
	if strings.Count(got, "\n") != 2 || !strings.Contains(got, `level=WARN msg="table: 3"`) || !strings.Contains(got, `level=ERROR msg="table: 4"`) {
		t.Errorf("told:\n%s", got)
	}
}
