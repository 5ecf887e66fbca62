package storedir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/stripe"
)

// indexName is the directory of the index, which may be deleted while nobody
// has the store open.
const indexName = "index"

// Options say how to open a directory; the zero value works.
type Options struct {
	// Arena gives the buffers; by default one of the volume's own.
	Arena *blockio.Arena
	// Logger hears what is worth knowing and no error; by default nobody.
	Logger *slog.Logger
	// Fill takes empty directories in the places of shards as new shards,
	// which stripe.Volume.Heal fills. Otherwise they count as missing.
	Fill bool
	// Journal makes small changes durable by a journal on each shard, which pays
	// for a process that makes many; see blockio.DirVolume.StartJournal.
	Journal bool
	// FileSystem, if set, gives what stands between a shard's volume and its
	// directory: for tests of faults.
	FileSystem func(shard int, inner blockio.FileSystem) blockio.FileSystem
}

// Dir is an open store directory.
type Dir struct {
	// Volume is the stripe over the shards.
	Volume *stripe.Volume

	path   string
	lock   *blockio.DirLock
	layout Layout
	shards []Shard
}

// Open locks a directory and opens the volume that it describes: ErrNoStore,
// blockio.ErrLocked. Shards that cannot be opened are done without as long as
// enough are left.
func Open(ctx context.Context, dir string, opts Options) (*Dir, error) {
	if _, err := readLayout(dir); err != nil { // before anything is locked
		return nil, err
	}
	lock, err := blockio.LockDir(dir)
	if err != nil {
		return nil, err
	}
	d := &Dir{path: dir, lock: lock}
	if d.layout, err = readLayout(dir); err == nil {
		err = d.openVolume(ctx, opts)
	}
	if err != nil {
		return nil, errors.Join(err, d.unlock())
	}
	return d, nil
}

func (d *Dir) openVolume(ctx context.Context, opts Options) error {
	l := d.layout
	d.shards = make([]Shard, len(l.Shards))
	volumes := make([]blockio.Volume, len(l.Shards))
	labels := make([]string, len(l.Shards))
	for i := range d.shards {
		s := &d.shards[i]
		s.Path = locate(d.path, l.Shards[i])
		labels[i] = s.Path
		if err := s.open(i, opts); err != nil {
			return err
		}
		if s.volume != nil {
			volumes[i] = s.volume
		}
	}
	var err error
	d.Volume, err = stripe.Open(ctx, volumes, stripe.Options{
		K: l.Data, M: l.Parity, Unit: l.Unit, SetID: l.Set, Labels: labels, Arena: opts.Arena, Logger: opts.Logger,
	})
	if errors.Is(err, stripe.ErrLost) || errors.Is(err, stripe.ErrNoStripe) {
		return d.tooFew(err)
	}
	return err
}

// tooFew says in one line which shards are missing, and why.
func (d *Dir) tooFew(err error) error {
	var gone []string
	for i := range d.shards {
		if s := &d.shards[i]; s.Err != nil {
			gone = append(gone, fmt.Sprintf("shard %d (%s): %v", i, s.Path, reason(s.Err)))
		}
	}
	if len(gone) == 0 {
		return err
	}
	return fmt.Errorf("%w: %d of %d+%d shards are missing, at most %d may be: %s", stripe.ErrLost,
		len(gone), d.layout.Data, d.layout.Parity, d.layout.Parity, strings.Join(gone, "; "))
}

// reason is an error of a shard's directory without the path, which the shard's
// name has.
func reason(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

// Close ends the use of the volume and unlocks the directory.
func (d *Dir) Close(ctx context.Context) error {
	return errors.Join(d.Volume.Close(context.WithoutCancel(ctx)), d.unlock())
}

func (d *Dir) unlock() error { return errors.Join(d.closeShards(), d.lock.Unlock()) }

func (d *Dir) closeShards() error {
	var errs []error
	for i := range d.shards {
		errs = append(errs, d.shards[i].close())
	}
	return errors.Join(errs...)
}

// Path is the directory.
func (d *Dir) Path() string { return d.path }

// Index is the directory of the store's index.
func (d *Dir) Index() string { return filepath.Join(d.path, indexName) }

// Layout describes the shards.
func (d *Dir) Layout() Layout { return d.layout }

// Shards are the directories of the shards by position.
func (d *Dir) Shards() []Shard { return d.shards }

// Degraded says which shards are not as they should be, "" when all are.
func (d *Dir) Degraded() string {
	var wrong []string
	for i, s := range d.Volume.Shards() {
		if s.Status == stripe.ShardOK {
			continue
		}
		text := fmt.Sprintf("shard %d (%s) is %s", i, d.shards[i].Path, s.Status)
		switch err := d.shards[i].Err; {
		case err != nil:
			text += fmt.Sprintf(": %v", reason(err))
		case s.Failure != nil:
			text += fmt.Sprintf(": %v", s.Failure)
		}
		wrong = append(wrong, text)
	}
	return strings.Join(wrong, "; ")
}
