package blockio

import "io"

// FileSystem is what a DirVolume needs of a file system: files and directories
// below one root, named by slash-separated paths relative to it. The root
// itself is ".". Two things implement it: the operating system, and the memory
// of blockiotest, which can lose what was not synced.
//
// Errors are those of package io/fs (fs.ErrNotExist, fs.ErrExist) and of the
// system.
type FileSystem interface {
	Files
	Directories
	Logs
}

// Logs are what a journal needs of a file system.
type Logs interface {
	// CreateLog makes a file of size zero bytes of which every block can be
	// written over without more space, and with little to sync.
	CreateLog(name string, size int64) (Log, error)
	// WriteFile makes a file with contents that nobody has synced.
	WriteFile(name string, p []byte) error
}

// Log is the file of a journal.
type Log interface {
	File
	// SyncAll makes durable all that was changed before it in the file system, of
	// files and of directories. After an error nothing is known of them.
	SyncAll() error
}

// Files are a file system's files.
type Files interface {
	// CreateFile makes an empty file; fs.ErrExist when the name is taken.
	CreateFile(name string) (File, error)
	// OpenFile opens a file for reading.
	OpenFile(name string) (Object, error)
	// Rename moves a file in one step; fs.ErrExist when the new name is taken.
	// It is durable after SyncDir of the new name's directory.
	Rename(from, to string) error
	// Replace is Rename that takes the place of a file of the new name.
	Replace(from, to string) error
	// RemoveFile unlinks a file. It is durable after SyncDir.
	RemoveFile(name string) error
}

// Directories are a file system's directories.
type Directories interface {
	// MakeDir makes a directory; fs.ErrExist when the name is taken. It is
	// durable after SyncDir of its parent.
	MakeDir(name string) error
	// ListDir is what a directory holds, in any order.
	ListDir(name string) ([]DirEntry, error)
	// SyncDir makes all changes of the directory's entries durable.
	SyncDir(name string) error
}

// DirEntry is an entry of a directory. Size is that of a file in bytes.
type DirEntry struct {
	Name  string
	Size  int64
	IsDir bool
}

// File is a file that is being written.
type File interface {
	io.WriterAt
	io.Closer
	// Truncate sets the length.
	Truncate(size int64) error
	// Sync makes contents and length durable. After an error nothing is known
	// of them, and the file must be dropped.
	Sync() error
}
