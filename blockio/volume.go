package blockio

import (
	"context"
	"errors"
	"io"
	"iter"
)

// Errors of volumes; test with errors.Is.
var (
	// ErrNotFound says that no committed object has the name.
	ErrNotFound = errors.New("no such object")
	// ErrExists says that a committed object has the name already.
	ErrExists = errors.New("object exists")
)

// Volume is a flat space of immutable objects.
//
// A name is "kind/id", both parts 1 to 255 bytes of [a-z0-9.-], not beginning
// with a dot; the kind "tmp" is taken. Other names are ErrName.
//
// An object is written once through a Writer, becomes visible and durable in
// one step by Commit, and is later only opened or removed. Removal is durable
// when Remove returns; objects that are open stay readable until closed.
type Volume interface {
	// Create starts an object. It is ErrExists when a committed object has
	// the name; two writers of one name race, and the second Commit fails
	// with ErrExists.
	Create(ctx context.Context, name string) (Writer, error)
	// Open opens a committed object; ErrNotFound without one.
	Open(ctx context.Context, name string) (Object, error)
	// Remove removes a committed object; ErrNotFound without one.
	Remove(ctx context.Context, name string) error
	// List yields the committed objects of a kind in the order of their
	// names.
	List(ctx context.Context, kind string) iter.Seq2[Entry, error]
}

// Entry is an object as List shows it. Size is in bytes.
type Entry struct {
	Name string
	Size int64
}

// Object is a committed object, open for reading.
type Object interface {
	io.ReaderAt
	io.Closer
	// Size is the length in bytes that was committed.
	Size() int64
}

// Writer writes one object. WriteAt may be called concurrently; each byte is
// written once, every write begins at a multiple of Unit, and its length is a
// multiple of Unit unless it ends the object. After an error of WriteAt or
// Commit only Abort is allowed.
type Writer interface {
	io.WriterAt
	// Unit is the granularity of writes in bytes, a multiple of 4 KiB.
	Unit() int
	// Commit makes the object of the given length durable, then visible
	// under its name, and that durable too. All bytes below size must have
	// been written. It waits for no writes: those must have returned.
	Commit(ctx context.Context, size int64) error
	// Abort drops the object. After Commit it does nothing.
	Abort() error
}
