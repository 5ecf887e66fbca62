// Package lazy makes a writable disk of a base that can only be read: the disk
// is there at once, and its bytes come as they are needed.
//
// The types to know are [Disk], the device that a guest reads and writes, [Base],
// what it reads until it has bytes of its own, and [Files], the two files that
// it keeps: a raw file with the disk's own blocks in their places, and a map
// that says which those are; FORMAT.md has its layout.
//
// [Disk.Hydrate] brings over what is left in the base. When it has returned nil
// the raw file is the whole disk, and neither map nor base is needed any more.
//
// # Invariants
//
//   - A block is the disk's own from its first write on, and never goes back.
//   - A block's bytes are durable before the map on disk says that they are the
//     disk's own. So after a crash every block is as it was at the last Sync, or
//     as something later left it; it is never half the base's.
//   - What the raw file holds in a block that is not the disk's own has no
//     meaning: it may be left from before a crash. A block becomes the disk's own
//     only when all of it was written, or zeroed.
//   - After a failed Sync nothing is known of what is on disk: all later ones
//     fail.
//
// # Concurrency
//
// All methods of Disk are safe for concurrent use, for ranges that overlap too.
// Writes, zeroing and hydration of one region of a MiB go one after another.
// Reads wait for nobody.
//
// The package knows nothing of stores, records or NBD.
package lazy
