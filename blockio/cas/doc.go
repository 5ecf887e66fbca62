// Package cas is the content-addressed store: it keeps the guest bytes of disk
// images as deduplicated, compressed chunks in a [blockio.Volume].
//
// The types to know:
//
//   - [Store] is one open store. [Open] locks the index's directory, if there is
//     one, until [Store.Close]. To lock the volume is the caller's part: see
//     [Options].
//   - [Session] is one writer's stay in the store. What a session has touched,
//     chunks that it found already present included, is safe from garbage
//     collection until the session closes.
//   - [ImageWriter] takes windows of guest bytes and commits a manifest.
//   - [Draft] is what a record keeps of an image that is not complete, so that
//     writing it can go on after a restart: [ImageWriter.Checkpoint],
//     [Session.ResumeDraft].
//   - [Image] reads a committed manifest as a disk image.
//   - [Record] is a small named object, replaced as a whole. Records hold
//     manifests alive; what no record holds is garbage.
//   - [Digester] computes an image's digest without a store.
//
// # What is durable
//
// Everything is an immutable object of the volume: segments of chunks,
// manifests, records and the store's header; FORMAT.md gives their layouts.
// The index is a cache: it can be deleted at any time while the store is
// closed, and the next Open makes it again from the segments.
//
// # Invariants
//
//   - A chunk is durable before a manifest names it, a manifest before a record
//     does, a record before PutRecord returns.
//   - Two chunks are the same only when their 256-bit BLAKE3 is.
//   - Every read checks the record header's digest and checksum: damage is a
//     [*CorruptError], never other bytes.
//   - A segment that an open session touched is not removed. A segment whose
//     chunks were moved is removed only when the new place is durable and
//     indexed.
//   - After a failed write or sync the object is dropped and its chunks are
//     unknown again; nothing is retried in place.
//   - Nothing depends on the clock.
//
// # Concurrency and memory
//
// All methods of Store, Session and Image are safe for concurrent use, and so is
// ImageWriter.PutWindow. Buffers come from the store's [blockio.Arena], in two
// fixed pools taken when the first session begins and the first image is
// opened: a caller that holds an arena buffer may call PutWindow and ReadAt,
// but not Begin, CreateImage or OpenImage.
//
// The package knows nothing of image formats, names or configuration. A store has
// no metrics unless it is asked for them: [NewMetrics].
package cas
