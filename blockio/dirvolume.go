package blockio

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// DirVolume is a Volume in a directory: a sub-directory for each kind, a file
// for each object, and unfinished objects under temporary names beside them.
//
// What makes a commit durable, in this order: the file's own sync, the sync of
// the root when the kind's directory may be new, the rename to the final name,
// the sync of the kind's directory. When a directory cannot be synced nobody
// knows which names are durable: the volume then refuses all changes, with
// ErrPoisoned, until it is opened anew.
//
// Commits and removals of one kind at a time share the syncs of its directory.
//
// A file that is not there is an object that does not exist, as long as the
// volume's own directory is what it was: else a disk that was unmounted would pass
// for an empty one.
//
// With a journal, what makes the commit of a small object durable, and any removal,
// is an entry of that; see StartJournal and FORMAT.md.
//
// One process may have a directory open at a time; see LockDir.
type DirVolume struct {
	fsys FileSystem

	serial atomic.Uint64 // of temporary names
	poison atomic.Pointer[error]

	replay  *Replay   // nil when the open found no journal; set before the volume is shared
	journal *journal  // nil without one; set before the volume is shared
	changes nameLocks // held over changes beside a journal
	// doubts has the names of objects that may be there at the next open, though
	// the volume could not make them so.
	doubts sync.Map

	mu    sync.Mutex
	kinds map[string]struct{}    // kinds whose directory is durable; guarded by mu
	syncs map[string]*SharedSync // by directory; guarded by mu
}

// DirVolumeOptions are options of a DirVolume; the zero value works.
type DirVolumeOptions struct {
	// Direct says how objects are read and written.
	Direct DirectMode
}

// NewDirVolume opens the volume in a directory, which exists. It removes what
// writers left unfinished.
func NewDirVolume(dir string, opts DirVolumeOptions) (*DirVolume, error) {
	return NewVolumeOn(dir, NewDirFileSystem(dir, opts))
}

// NewVolumeOn is NewDirVolume on any file system; label names it in errors.
//
// A process that was killed may have left names that are visible and not yet
// durable. Since others will build on what they see, all is made durable first.
func NewVolumeOn(label string, fsys FileSystem) (*DirVolume, error) {
	v := &DirVolume{fsys: fsys, kinds: map[string]struct{}{}, syncs: map[string]*SharedSync{}}
	if err := v.recover(); err != nil {
		return nil, fmt.Errorf("open volume %s: %w", label, err)
	}
	return v, nil
}

func (v *DirVolume) recover() error {
	if err := v.fsys.MakeDir(tmpKind); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	leftovers, err := v.fsys.ListDir(tmpKind)
	if err != nil {
		return err
	}
	for _, e := range leftovers {
		if err := v.fsys.RemoveFile(path.Join(tmpKind, e.Name)); err != nil {
			return err
		}
	}
	began := time.Now()
	replay, err := v.replayJournal()
	if err != nil {
		return err
	}
	dirs, err := v.fsys.ListDir(".")
	if err != nil {
		return err
	}
	for _, e := range dirs {
		if !e.IsDir || !validKind(e.Name) {
			continue
		}
		if err := v.fsys.SyncDir(e.Name); err != nil {
			return err
		}
		v.kinds[e.Name] = struct{}{}
	}
	if err := v.fsys.SyncDir("."); err != nil || replay == nil {
		return err
	}
	if err := dropJournal(v.fsys); err != nil {
		return err
	}
	replay.Took = time.Since(began)
	v.replay = replay
	return nil
}

// Create implements Volume.
func (v *DirVolume) Create(ctx context.Context, name string) (Writer, error) {
	w, err := v.create(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	return w, nil
}

func (v *DirVolume) create(ctx context.Context, name string) (*dirWriter, error) {
	if _, err := v.beginChange(ctx, name); err != nil {
		return nil, err
	}
	if err := v.vacant(name); err != nil {
		return nil, err
	}
	return v.begin(ctx, name)
}

// vacant is ErrExists when a committed object has the name.
func (v *DirVolume) vacant(name string) error {
	switch o, err := v.fsys.OpenFile(name); {
	case err == nil:
		return errors.Join(ErrExists, o.Close())
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return nil
}

// Replace implements Replacer.
func (v *DirVolume) Replace(ctx context.Context, name string) (Writer, error) {
	w, err := v.begin(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("replace %s: %w", name, err)
	}
	w.replace = true
	return w, nil
}

// begin starts an object without looking whether its name is free.
func (v *DirVolume) begin(ctx context.Context, name string) (*dirWriter, error) {
	kind, err := v.beginChange(ctx, name)
	if err != nil {
		return nil, err
	}
	w := &dirWriter{volume: v, kind: kind, name: name, tmp: path.Join(tmpKind, fmt.Sprintf("w%d", v.serial.Add(1)))}
	if w.staged = v.journal != nil; w.staged {
		return w, nil // the file comes when there is no need to hold it in memory
	}
	w.file, err = v.fsys.CreateFile(w.tmp)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// Open implements Volume.
func (v *DirVolume) Open(ctx context.Context, name string) (Object, error) {
	_, err := checkName(name)
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = v.doubt(name)
	}
	var o Object
	if err == nil {
		o, err = v.fsys.OpenFile(name)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, v.missing(err))
	}
	return o, nil
}

var errGone = errors.New("the directory is not the volume's any more")

// missing gives the error of a file the volume's meaning: ErrNotFound of one that
// is not there, unless the volume's directory is gone.
func (v *DirVolume) missing(err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := v.fsys.ListDir(tmpKind); err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return ErrNotFound
}

// Remove implements Volume.
func (v *DirVolume) Remove(ctx context.Context, name string) error {
	if err := v.remove(ctx, name); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

func (v *DirVolume) remove(ctx context.Context, name string) error {
	kind, err := v.beginChange(ctx, name)
	if err != nil {
		return err
	}
	if v.journal != nil {
		defer v.changes.lock(name)()
	}
	if err := v.missing(v.fsys.RemoveFile(name)); err != nil {
		return err
	}
	if v.journal != nil {
		return v.journalRemoval(ctx, name)
	}
	return v.syncDir(kind)
}

// List implements Volume.
func (v *DirVolume) List(ctx context.Context, kind string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		err := checkKindName(kind)
		var found []DirEntry
		if err == nil {
			found, err = v.fsys.ListDir(kind)
		}
		if err = v.missing(err); errors.Is(err, ErrNotFound) {
			return // nothing of the kind yet
		}
		if err != nil {
			yield(Entry{}, fmt.Errorf("list %s: %w", kind, err))
			return
		}
		slices.SortFunc(found, func(a, b DirEntry) int { return cmp.Compare(a.Name, b.Name) })
		for _, e := range found {
			if err := ctx.Err(); err != nil {
				yield(Entry{}, fmt.Errorf("list %s: %w", kind, context.Cause(ctx)))
				return
			}
			if e.IsDir || !validPart(e.Name) {
				continue
			}
			if !yield(Entry{Name: kind + "/" + e.Name, Size: e.Size}, nil) {
				return
			}
		}
	}
}

// Kinds implements KindLister.
func (v *DirVolume) Kinds(ctx context.Context) ([]string, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("list kinds: %w", context.Cause(ctx))
	}
	found, err := v.fsys.ListDir(".")
	if err != nil {
		return nil, fmt.Errorf("list kinds: %w", err)
	}
	if !slices.ContainsFunc(found, func(e DirEntry) bool { return e.Name == tmpKind }) {
		return nil, fmt.Errorf("list kinds: %w", errGone)
	}
	var kinds []string
	for _, e := range found {
		if e.IsDir && validKind(e.Name) {
			kinds = append(kinds, e.Name)
		}
	}
	slices.Sort(kinds)
	return kinds, nil
}

// beginChange checks that the object's name may be changed, and gives its kind.
func (v *DirVolume) beginChange(ctx context.Context, name string) (kind string, err error) {
	kind, err = checkName(name)
	if err != nil {
		return "", err
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if cause := v.poison.Load(); cause != nil {
		return "", fmt.Errorf("%w: %w", ErrPoisoned, *cause)
	}
	return kind, nil
}

// syncDir makes the changes of a directory's entries durable that were made
// before the call, or poisons the volume. A sync that succeeds after one that
// failed proves nothing of what that one was to save.
func (v *DirVolume) syncDir(dir string) error {
	err := v.syncOf(dir).Do(func() error {
		err := v.fsys.SyncDir(dir)
		if err != nil {
			err = fmt.Errorf("sync directory %s: %w", dir, err)
			v.poison.CompareAndSwap(nil, &err)
		}
		return err
	})
	if cause := v.poison.Load(); err == nil && cause != nil {
		err = fmt.Errorf("%w: %w", ErrPoisoned, *cause)
	}
	return err
}

func (v *DirVolume) syncOf(dir string) *SharedSync {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, ok := v.syncs[dir]
	if !ok {
		s = &SharedSync{}
		v.syncs[dir] = s
	}
	return s
}

// ensureKind makes the directory of a kind and makes that durable.
func (v *DirVolume) ensureKind(kind string) error {
	v.mu.Lock()
	_, ok := v.kinds[kind]
	v.mu.Unlock()
	if ok {
		return nil
	}
	if err := v.fsys.MakeDir(kind); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make directory %s: %w", kind, err)
	}
	if err := v.syncDir("."); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.kinds[kind] = struct{}{}
	return nil
}
