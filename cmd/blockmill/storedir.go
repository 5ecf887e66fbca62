package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
)

// A store's directory holds its lock, the volume with everything durable, and
// the index, which may be deleted while nobody has the store open.
const (
	volumeDir = "volume"
	indexDir  = "index"
)

// openStore is an open store and the lock on its directory.
type openStore struct {
	*cas.Store
	path string // of the volume
	lock *blockio.DirLock
}

var errNoStoreFlag = usageError{errors.New("which store? name its directory with --store")}

// openStore opens the store that --store names.
func (a *app) openStore(ctx context.Context) (*openStore, error) {
	if a.storePath == "" {
		return nil, errNoStoreFlag
	}
	s := &openStore{}
	opts, err := s.enter(a.storePath)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", a.storePath, err)
	}
	opts.Arena = a.sharedArena()
	if s.Store, err = cas.Open(ctx, opts); err != nil {
		_ = s.lock.Unlock() // the error that led here counts
		return nil, fmt.Errorf("open store %s: %w", a.storePath, unwrapAct(err))
	}
	return s, nil
}

// enter locks a store's directory, and only then opens its volume: that
// removes what a writer left unfinished.
func (s *openStore) enter(dir string) (cas.Options, error) {
	volume := filepath.Join(dir, volumeDir)
	_, err := os.Stat(volume)
	if errors.Is(err, fs.ErrNotExist) {
		err = cas.ErrNoStore
	}
	if err != nil {
		return cas.Options{}, err
	}
	if s.lock, err = blockio.LockDir(dir); err != nil {
		return cas.Options{}, err
	}
	s.path = volume
	v, err := blockio.NewDirVolume(volume, blockio.DirVolumeOptions{})
	if err != nil {
		_ = s.lock.Unlock() // the error that led here counts
		return cas.Options{}, err
	}
	opts := cas.Options{Volume: v, IndexDir: filepath.Join(dir, indexDir)}
	if spaceLeft(dir) < indexSpace {
		opts.IndexDir = ""
	}
	return opts, nil
}

// indexSpace is the free space in bytes below which the index on disk is left
// alone and one in memory is made for the time being. The database under it
// writes through mapped files: a disk that fills up would end the process, and
// with it the collection that could give space back.
const indexSpace = 64 << 20

// spaceLeft is the free space of a file system, as much as there may be when
// it does not tell.
func spaceLeft(dir string) int64 {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return math.MaxInt64
	}
	return int64(st.Bavail) * st.Bsize
}

func (s *openStore) close() error {
	return errors.Join(s.Store.Close(), s.lock.Unlock())
}
