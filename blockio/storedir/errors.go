package storedir

import "errors"

// Errors of store directories; test with errors.Is.
var (
	// ErrNoStore says that the directory has no description of a store.
	ErrNoStore = errors.New("no store here")
	// ErrExists says that the directory has a description already.
	ErrExists = errors.New("a store exists already")
	// ErrCorrupt says that the description is not what was written.
	ErrCorrupt = errors.New("corrupt")
	// ErrSharedDevice says that two shards are on one device, which would take
	// both when it fails.
	ErrSharedDevice = errors.New("shards share a device")
	// ErrNotEmpty says that a directory that is to be a new shard holds
	// something.
	ErrNotEmpty = errors.New("is not empty")
	// ErrShards says that the number of shards or the position of one is wrong.
	ErrShards = errors.New("wrong shards")
)
