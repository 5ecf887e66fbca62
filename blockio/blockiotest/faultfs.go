package blockiotest

import (
	"errors"
	"sync"

	"github.com/blockmill/blockmill/blockio"
)

// FaultFS is a file system of which calls fail on demand; what does not fail is
// done by another one, that of a real directory for instance.
type FaultFS struct {
	inner blockio.FileSystem
	met   func(Op) // hears of each fault that is met; nil is nobody

	mu     sync.Mutex
	seq    int            // calls that changed something; guarded by mu
	counts map[OpKind]int // guarded by mu
	faults faults         // guarded by mu
}

var _ blockio.FileSystem = (*FaultFS)(nil)

// NewFaultFS makes a file system that does what inner does. Met, if it is not nil,
// is called for each call that meets a fault.
func NewFaultFS(inner blockio.FileSystem, met func(Op)) *FaultFS {
	return &FaultFS{inner: inner, met: met, counts: map[OpKind]int{}}
}

// Inject adds a fault.
func (f *FaultFS) Inject(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults.inject(fault)
}

// Count counts the calls so far of the given kinds.
func (f *FaultFS) Count(kinds OpKind) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for kind, count := range f.counts {
		if kind&kinds != 0 {
			n += count
		}
	}
	return n
}

// begin counts a call, and gives the fault that it meets and that fault's error.
func (f *FaultFS) begin(kind OpKind, name string) (*Fault, error) {
	f.mu.Lock()
	op := Op{Kind: kind, Name: name}
	if kind&OpChanges != 0 {
		f.seq++
		op.Seq = f.seq
	}
	f.counts[kind]++
	fault := f.faults.strike(op)
	f.mu.Unlock()
	if fault != nil && f.met != nil {
		f.met(op)
	}
	fault = fault.late()
	return fault, fault.failure(op)
}

// CreateFile implements blockio.FileSystem.
func (f *FaultFS) CreateFile(name string) (blockio.File, error) {
	if _, err := f.begin(OpCreate, name); err != nil {
		return nil, err
	}
	file, err := f.inner.CreateFile(name)
	if err != nil {
		return nil, err
	}
	return &faultFile{File: file, fs: f, name: name}, nil
}

// CreateLog implements blockio.FileSystem.
func (f *FaultFS) CreateLog(name string, size int64) (blockio.Log, error) {
	if _, err := f.begin(OpCreate, name); err != nil {
		return nil, err
	}
	log, err := f.inner.CreateLog(name, size)
	if err != nil {
		return nil, err
	}
	return &faultLog{faultFile{File: log, fs: f, name: name}, log}, nil
}

// WriteFile implements blockio.FileSystem.
func (f *FaultFS) WriteFile(name string, p []byte) error {
	if _, err := f.begin(OpCreate, name); err != nil {
		return err
	}
	fault, err := f.begin(OpWrite, name)
	if err == nil && fault != nil {
		p = flip(p)
	}
	if err != nil {
		if fault.Kind != FaultShort {
			return err
		}
		p = p[:len(p)/2]
	}
	return errors.Join(err, f.inner.WriteFile(name, p))
}

// OpenFile implements blockio.FileSystem.
func (f *FaultFS) OpenFile(name string) (blockio.Object, error) {
	if _, err := f.begin(OpOpen, name); err != nil {
		return nil, err
	}
	o, err := f.inner.OpenFile(name)
	if err != nil {
		return nil, err
	}
	return &faultObject{Object: o, fs: f, name: name}, nil
}

// Rename implements blockio.FileSystem.
func (f *FaultFS) Rename(from, to string) error {
	if _, err := f.begin(OpRename, to); err != nil {
		return err
	}
	return f.inner.Rename(from, to)
}

// Replace implements blockio.FileSystem.
func (f *FaultFS) Replace(from, to string) error {
	if _, err := f.begin(OpRename, to); err != nil {
		return err
	}
	return f.inner.Replace(from, to)
}

// RemoveFile implements blockio.FileSystem.
func (f *FaultFS) RemoveFile(name string) error {
	if _, err := f.begin(OpRemove, name); err != nil {
		return err
	}
	return f.inner.RemoveFile(name)
}

// MakeDir implements blockio.FileSystem.
func (f *FaultFS) MakeDir(name string) error {
	if _, err := f.begin(OpMakeDir, name); err != nil {
		return err
	}
	return f.inner.MakeDir(name)
}

// ListDir implements blockio.FileSystem.
func (f *FaultFS) ListDir(name string) ([]blockio.DirEntry, error) {
	if _, err := f.begin(OpList, name); err != nil {
		return nil, err
	}
	return f.inner.ListDir(name)
}

// SyncDir implements blockio.FileSystem.
func (f *FaultFS) SyncDir(name string) error {
	if _, err := f.begin(OpSyncDir, name); err != nil {
		return err
	}
	return f.inner.SyncDir(name)
}

// faultFile is a file that is being written.
type faultFile struct {
	blockio.File
	fs   *FaultFS
	name string
}

// WriteAt implements io.WriterAt.
func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	fault, err := f.fs.begin(OpWrite, f.name)
	switch {
	case err != nil && fault.Kind == FaultShort:
		n, writeErr := f.File.WriteAt(p[:len(p)/2/blockio.BlockSize*blockio.BlockSize], off)
		if writeErr != nil {
			err = writeErr
		}
		return n, err
	case err != nil:
		return 0, err
	case fault != nil:
		p = flip(p)
	}
	return f.File.WriteAt(p, off)
}

// Truncate implements blockio.File.
func (f *faultFile) Truncate(size int64) error {
	if _, err := f.fs.begin(OpTruncate, f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

// Sync implements blockio.File.
func (f *faultFile) Sync() error {
	if _, err := f.fs.begin(OpSync, f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

// faultLog is the file of a journal.
type faultLog struct {
	faultFile
	log blockio.Log
}

// SyncAll implements blockio.Log.
func (f *faultLog) SyncAll() error {
	if _, err := f.fs.begin(OpSyncAll, f.name); err != nil {
		return err
	}
	return f.log.SyncAll()
}

// faultObject is a file that is being read.
type faultObject struct {
	blockio.Object
	fs   *FaultFS
	name string
}

// ReadAt implements io.ReaderAt.
func (f *faultObject) ReadAt(p []byte, off int64) (int, error) {
	fault, err := f.fs.begin(OpRead, f.name)
	switch {
	case err != nil && fault.Kind == FaultShort:
		n, _ := f.Object.ReadAt(p[:len(p)/2], off)
		return n, err
	case err != nil:
		return 0, err
	}
	n, err := f.Object.ReadAt(p, off)
	if fault != nil && n > 0 {
		p[n/2] ^= flipped
	}
	return n, err
}
