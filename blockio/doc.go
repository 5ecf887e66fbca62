// Package blockio is the floor that everything else stands on: devices with
// direct I/O, immutable objects in volumes, extents, aligned buffers and a
// block cache.
//
// The types to know are [Device] (a file or block device, read and written in
// parallel), [Volume] (a flat space of immutable objects, each visible and
// durable in one step), [Arena] (the one pool of aligned buffers that bounds
// the memory of a process) and [Extent] (a run of bytes and what is known of
// it without reading it). [Cache] makes few large reads of many small ones,
// [DirVolume] is the Volume in a directory, and [LockDir] keeps a second
// process out of it.
//
// A failed sync poisons what it was asked of, a Device or a DirVolume: it is
// never tried again. Memory is the arena's; who holds a buffer never waits for
// another.
//
// All types are safe for concurrent use unless their comment says otherwise.
// The package runs on Linux only. It knows nothing of image formats, chunks,
// metrics or configuration.
package blockio
