package blockiotest

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"sync"

	"github.com/blockmill/blockmill/blockio"
)

// memFS is a file system in memory that knows what was synced: of files their
// contents, of directories their entries.
type memFS struct {
	mu     sync.Mutex
	root   *directory
	open   int // files open
	seq    int // calls that changed something
	counts map[OpKind]int
	faults faults
	drop   func(Op) bool // syncs that do nothing
	hook   func(Op)      // called before each change, without mu
}

// directory is a directory; an entry is an *inode or a *directory.
type directory struct {
	now    map[string]any
	synced map[string]any // as of the last sync
}

var _ blockio.FileSystem = (*memFS)(nil)

func newMemFS() *memFS {
	return &memFS{root: newDirectory(), counts: map[OpKind]int{}}
}

func newDirectory() *directory {
	return &directory{now: map[string]any{}, synced: map[string]any{}}
}

// begin counts a call, lets the hook see it and finds the fault that it meets.
// It returns with mu held.
func (m *memFS) begin(kind OpKind, name string) (Op, *Fault) {
	m.mu.Lock()
	op := Op{Kind: kind, Name: name}
	if kind&OpChanges != 0 {
		op.Seq = m.seq + 1
		if hook := m.hook; hook != nil {
			m.mu.Unlock()
			hook(op)
			m.mu.Lock()
			op.Seq = m.seq + 1
		}
		m.seq++
	}
	m.counts[kind]++
	fault := m.faults.strike(op)
	if fault != nil && fault.Kind == FaultDelay {
		m.mu.Unlock()
		fault = fault.late()
		m.mu.Lock()
	}
	return op, fault
}

// drops says whether a sync is to do nothing. The caller holds mu.
func (m *memFS) drops(op Op) bool { return m.drop != nil && m.drop(op) }

// dir finds a directory. The caller holds mu.
func (m *memFS) dir(name string) (*directory, error) {
	if name == "." {
		return m.root, nil
	}
	d, ok := m.root.now[name].(*directory)
	if !ok {
		return nil, &fs.PathError{Op: "find directory", Path: name, Err: fs.ErrNotExist}
	}
	return d, nil
}

// file finds a file. The caller holds mu.
func (m *memFS) file(name string) (d *directory, base string, node *inode, err error) {
	parent, base := path.Split(name)
	if d, err = m.dir(path.Clean(parent)); err != nil {
		return nil, "", nil, err
	}
	node, ok := d.now[base].(*inode)
	if !ok {
		return d, base, nil, &fs.PathError{Op: "find file", Path: name, Err: fs.ErrNotExist}
	}
	return d, base, node, nil
}

func (m *memFS) CreateFile(name string) (blockio.File, error) {
	op, fault := m.begin(OpCreate, name)
	defer m.mu.Unlock()
	if err := fault.failure(op); err != nil {
		return nil, err
	}
	d, base, _, err := m.file(name)
	if err == nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	if d == nil {
		return nil, err
	}
	node := &inode{}
	d.now[base] = node
	m.open++
	return &memFile{fs: m, inode: node, name: name}, nil
}

func (m *memFS) CreateLog(name string, size int64) (blockio.Log, error) {
	f, err := m.CreateFile(name)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(size); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.(*memFile), nil
}

func (m *memFS) WriteFile(name string, p []byte) error {
	f, err := m.CreateFile(name)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(p, 0)
	return errors.Join(err, f.Close())
}

// syncAll syncs a directory and all below it. The caller holds mu.
func (d *directory) syncAll() {
	d.synced = maps.Clone(d.now)
	for _, entry := range d.now {
		switch entry := entry.(type) {
		case *inode:
			entry.synced = entry.now.clone()
		case *directory:
			entry.syncAll()
		}
	}
}

func (m *memFS) OpenFile(name string) (blockio.Object, error) {
	op, fault := m.begin(OpOpen, name)
	defer m.mu.Unlock()
	if err := fault.failure(op); err != nil {
		return nil, err
	}
	_, _, node, err := m.file(name)
	if err != nil {
		return nil, err
	}
	m.open++
	return &memFile{fs: m, inode: node, name: name}, nil
}

func (m *memFS) Rename(from, to string) error { return m.rename(from, to, false) }

func (m *memFS) Replace(from, to string) error { return m.rename(from, to, true) }

func (m *memFS) rename(from, to string, replace bool) error {
	op, fault := m.begin(OpRename, to)
	defer m.mu.Unlock()
	if err := fault.failure(op); err != nil {
		return err
	}
	src, old, node, err := m.file(from)
	if err != nil {
		return err
	}
	dst, base, _, err := m.file(to)
	if err == nil && !replace {
		return &fs.PathError{Op: "rename", Path: to, Err: fs.ErrExist}
	}
	if dst == nil {
		return err
	}
	delete(src.now, old)
	dst.now[base] = node
	return nil
}

func (m *memFS) RemoveFile(name string) error {
	op, fault := m.begin(OpRemove, name)
	defer m.mu.Unlock()
	if err := fault.failure(op); err != nil {
		return err
	}
	d, base, _, err := m.file(name)
	if err != nil {
		return err
	}
	delete(d.now, base)
	return nil
}

func (m *memFS) MakeDir(name string) error {
	op, fault := m.begin(OpMakeDir, name)
	defer m.mu.Unlock()
	if err := fault.failure(op); err != nil {
		return err
	}
	if _, ok := m.root.now[name]; ok {
		return &fs.PathError{Op: "mkdir", Path: name, Err: fs.ErrExist}
	}
	m.root.now[name] = newDirectory()
	return nil
}

func (m *memFS) ListDir(name string) ([]blockio.DirEntry, error) {
	op, fault := m.begin(OpList, name)
	defer m.mu.Unlock()
	if err := fault.failure(op); err != nil {
		return nil, err
	}
	d, err := m.dir(name)
	if err != nil {
		return nil, err
	}
	var entries []blockio.DirEntry
	for name, entry := range d.now {
		e := blockio.DirEntry{Name: name, IsDir: true}
		if node, ok := entry.(*inode); ok {
			e.IsDir, e.Size = false, node.now.size
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (m *memFS) SyncDir(name string) error {
	op, fault := m.begin(OpSyncDir, name)
	defer m.mu.Unlock()
	if err := fault.failure(op); err != nil {
		return err
	}
	d, err := m.dir(name)
	if err != nil {
		return err
	}
	if !m.drops(op) {
		d.synced = maps.Clone(d.now)
	}
	return nil
}
