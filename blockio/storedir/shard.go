package storedir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// Shard is the directory of one shard.
type Shard struct {
	// Path is where it is, "" when that is not known.
	Path string
	// Err is why it is not in use, nil when it is.
	Err error
	// Empty says that it is an empty directory in the place of a shard.
	Empty bool

	volume *blockio.DirVolume
	lock   *blockio.DirLock
	log    *slog.Logger
}

var (
	errUnknown = errors.New("its directory is not known")
	errEmpty   = errors.New("the directory is empty: a disk that is not mounted, or one to be filled")
)

// open opens a shard. The error is one that concerns the whole store: what is
// wrong with the shard alone is in Err.
func (s *Shard) open(index int, opts Options) error {
	if s.Path == "" {
		s.Err = errUnknown
		return nil
	}
	var err error
	if s.Empty, err = isEmpty(s.Path); err != nil {
		s.Err = err
		return nil
	}
	if s.Empty && !opts.Fill {
		s.Err = errEmpty
		return nil
	}
	if s.lock, err = blockio.LockDir(s.Path); errors.Is(err, blockio.ErrLocked) {
		return err
	}
	if err == nil {
		fsys := blockio.NewDirFileSystem(s.Path, blockio.DirVolumeOptions{})
		if opts.FileSystem != nil {
			fsys = opts.FileSystem(index, fsys)
		}
		s.volume, err = blockio.NewVolumeOn(s.Path, fsys)
	}
	s.Err, s.log = err, opts.Logger
	if err == nil {
		s.tellReplay()
	}
	if err == nil && opts.Journal {
		if err := s.volume.StartJournal(0); err != nil {
			s.warn("a shard has no journal: small changes take longer", err)
		}
	}
	return nil
}

// tellReplay says what a journal that was not closed has led to.
func (s *Shard) tellReplay() {
	r, ok := s.volume.Replayed()
	if !ok || s.log == nil {
		return
	}
	s.log.Info("the journal of a shard was replayed", "shard", s.Path, "entries", r.Entries,
		"objects", r.Objects, "removals", r.Removals, "bytes", r.Bytes, "took", r.Took)
}

func (s *Shard) warn(text string, err error) {
	if s.log != nil {
		s.log.Warn(text, "shard", s.Path, "reason", err)
	}
}

func (s *Shard) close() error {
	if s.lock == nil {
		return nil
	}
	if s.volume != nil {
		if err := s.volume.Close(); err != nil {
			s.warn("the journal of a shard is left to the next start", err)
		}
	}
	err := s.lock.Unlock()
	s.lock, s.volume = nil, nil
	return err
}

// isEmpty says whether a directory has nothing but what a new file system or an
// opened and unused volume has.
func isEmpty(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		switch e.Name() {
		case "lock", "tmp", "lost+found":
		default:
			return false, nil
		}
	}
	return true, nil
}

// prepare makes a directory for a new shard, or finds an empty one.
func prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	empty, err := isEmpty(dir)
	if err == nil && !empty {
		err = fmt.Errorf("shard %s %w", dir, ErrNotEmpty)
	}
	if err != nil {
		return err
	}
	return blockio.SyncPath(filepath.Dir(filepath.Clean(dir)))
}

// identify says which shard a directory is.
func identify(ctx context.Context, dir string) (id stripe.Identity, err error) {
	lock, err := blockio.LockDir(dir)
	if err != nil {
		return id, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	v, err := blockio.NewDirVolume(dir, blockio.DirVolumeOptions{})
	if err != nil {
		return id, err
	}
	if id, err = stripe.Identify(ctx, v); err != nil {
		return id, fmt.Errorf("shard %s: %w", dir, err)
	}
	return id, nil
}

// separate checks that no two of the directories that exist are on one device.
func separate(dirs []string) error {
	devices := map[uint64]string{}
	for _, dir := range dirs {
		var st unix.Stat_t
		if err := unix.Stat(dir, &st); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return &fs.PathError{Op: "stat", Path: dir, Err: err}
		}
		if other, ok := devices[st.Dev]; ok {
			return fmt.Errorf("%s and %s: %w", other, dir, ErrSharedDevice)
		}
		devices[st.Dev] = dir
	}
	return nil
}
