package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/pool/lazy"
)

// Options say which directory to open. Path and Store are required.
type Options struct {
	// Path is made when missing.
	Path string
	// Store has the images. It outlives the directory.
	Store *cas.Store
	// Arena gives the memory of copies; nil lets each make its own.
	Arena *blockio.Arena
	// Methods are those that may be used, the preferred first. Nil is reflink,
	// ready, overlay, copy and lazy; what the file system cannot do is left
	// out.
	Methods []Method
	// Reserve is how many bytes of the file system are left free; 0 is
	// DefaultReserve, negative none.
	Reserve int64
	// FillRate bounds what background work writes, in bytes a second; 0 is
	// no bound.
	FillRate int64
	// BaseBytes bounds what golden bases hold that are not needed at the time;
	// 0 is a quarter of the file system, negative no bound.
	BaseBytes int64
	// Wanted says whether disks of an image are made ahead, so that its golden base
	// stays; nil is never.
	Wanted func(cas.ManifestID) bool
	// Metrics tells of golden bases; nil does not.
	Metrics *Metrics
	// Lazy counts what lazy disks take from the store; nil does not.
	Lazy *lazy.Metrics
	// Logger hears of what is worth knowing and no error.
	Logger *slog.Logger
	// Step, when set, is called before every change of the directory; an
	// error of it ends the work as if the process had died there. For tests
	// of crashes.
	Step func(step string) error
}

// DefaultReserve is the free space that is left to others by default.
const DefaultReserve = 256 << 20

func (o Options) withDefaults() Options {
	if o.Methods == nil {
		o.Methods = Methods()
	}
	if o.Reserve == 0 {
		o.Reserve = DefaultReserve
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Wanted == nil {
		o.Wanted = func(cas.ManifestID) bool { return false }
	}
	if o.Step == nil {
		o.Step = func(string) error { return nil }
	}
	return o
}

func (o Options) validate() error {
	if o.Path == "" || o.Store == nil {
		return errors.New("a path and a store are needed")
	}
	for _, m := range o.Methods {
		if !slices.Contains(Methods(), m) {
			return fmt.Errorf("method %q is none of %v", m, Methods())
		}
	}
	return nil
}

const (
	fileMode = 0o660 // hypervisors run as other users of our group
	dirMode  = 0o750

	storeFile = "store"

	tmpDir   = "tmp"
	basesDir = "bases"
	disksDir = "disks"
)

// Directory is an open disk directory.
type Directory struct {
	// Immutable.
	opts      Options
	lock      *blockio.DirLock
	abilities Abilities
	methods   []Method
	rate      *blockio.Limiter
	// syncsNames says that the sync of a new file makes its name durable too.
	syncsNames bool
	baseBytes  int64

	syncs   map[string]*blockio.SharedSync // by directory; immutable
	syncDir func(path string) error        // tests have it fail; immutable
	serial  atomic.Uint64                  // of temporary names

	mu    sync.Mutex
	bases map[cas.ManifestID]*base // guarded by mu
}

// Open locks a directory, tries what it can do, and removes what was not
// complete. Recover must come before everything else.
func Open(ctx context.Context, opts Options) (*Directory, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("open disk directory %s: %w", opts.Path, err)
	}
	path, err := filepath.Abs(opts.Path)
	if err != nil {
		return nil, fmt.Errorf("open disk directory %s: %w", opts.Path, err)
	}
	opts.Path = path
	d := &Directory{
		opts: opts, rate: blockio.NewLimiter(opts.FillRate),
		syncs: map[string]*blockio.SharedSync{"": {}, basesDir: {}, disksDir: {}}, syncDir: blockio.SyncPath,
		bases: make(map[cas.ManifestID]*base),
	}
	if err := d.open(ctx); err != nil {
		return nil, fmt.Errorf("open disk directory %s: %w", path, errors.Join(err, d.Close()))
	}
	return d, nil
}

func (d *Directory) open(ctx context.Context) (err error) {
	for _, sub := range []string{"", tmpDir, basesDir, disksDir} {
		if err := os.MkdirAll(d.path(sub), dirMode); err != nil {
			return err
		}
	}
	if d.lock, err = blockio.LockDir(d.opts.Path); err != nil {
		return err
	}
	known, err := d.checkStore()
	if err == nil {
		err = d.clear()
	}
	if err == nil && !known {
		err = d.noteStore(ctx)
	}
	if err != nil {
		return err
	}
	// A process that was killed may have left names that are not yet durable.
	for _, sub := range []string{"", basesDir, disksDir} {
		if err := blockio.SyncPath(d.path(sub)); err != nil {
			return err
		}
	}
	if d.abilities, err = probe(ctx, d.path(tmpDir)); err != nil {
		return err
	}
	if d.syncsNames, err = syncsNames(d.opts.Path); err != nil {
		return err
	}
	switch d.baseBytes = d.opts.BaseBytes; {
	case d.baseBytes < 0:
		d.baseBytes = math.MaxInt64
	case d.baseBytes == 0:
		if d.baseBytes, err = defaultBaseBytes(d.opts.Path); err != nil {
			return err
		}
	}
	for _, m := range d.opts.Methods {
		if m == Reflink && !d.abilities.Reflink {
			continue
		}
		d.methods = append(d.methods, m)
	}
	return nil
}

// checkStore says whether the disks in the directory are those of the store's
// records; known is false for a new directory.
func (d *Directory) checkStore() (known bool, err error) {
	have, err := os.ReadFile(d.path(storeFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case strings.TrimSpace(string(have)) != d.opts.Store.ID().String():
		return false, fmt.Errorf("it has the disks of store %q: %w", strings.TrimSpace(string(have)), ErrOtherStore)
	}
	return true, nil
}

// noteStore makes the directory the store's from now on.
func (d *Directory) noteStore(ctx context.Context) error {
	return d.make(ctx, "", storeFile, func(dev *blockio.Device) error {
		if _, err := dev.WriteAt([]byte(d.opts.Store.ID().String()+"\n"), 0); err != nil {
			return err
		}
		return dev.Sync()
	})
}

// clear removes what was not complete.
func (d *Directory) clear() error {
	left, err := os.ReadDir(d.path(tmpDir))
	if err != nil {
		return err
	}
	for _, e := range left {
		if err := os.Remove(d.path(tmpDir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Close unlocks the directory. No call may be under way; a second Close does
// nothing.
func (d *Directory) Close() error {
	if d.lock == nil {
		return nil
	}
	lock := d.lock
	d.lock = nil
	if err := lock.Unlock(); err != nil {
		return fmt.Errorf("close disk directory %s: %w", d.opts.Path, err)
	}
	return nil
}

// Dir is the directory's path.
func (d *Directory) Dir() string { return d.opts.Path }

// Abilities are what the file system was found able to do.
func (d *Directory) Abilities() Abilities { return d.abilities }

// Methods are those that the directory can use, the preferred first.
func (d *Directory) Methods() []Method { return slices.Clone(d.methods) }

// Can says whether the directory can use a method.
func (d *Directory) Can(m Method) bool { return m == Blank || slices.Contains(d.methods, m) }

// Path is where the disk of a backing is, of the format that it has.
func (d *Directory) Path(id BackingID, f convert.Format) string {
	return d.path(disksDir, string(id)+"."+string(f))
}

func (d *Directory) path(parts ...string) string {
	return filepath.Join(append([]string{d.opts.Path}, parts...)...)
}
