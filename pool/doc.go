// Package pool keeps the named things that are made from images: the images
// themselves, snapshots and disks.
//
// The types to know:
//
//   - [Image], [Snapshot] and [Disk] are the records; [Meta] is what they have
//     in common. What a method returns is the caller's to read: its maps and
//     slices are shared and never changed.
//   - [Catalog] is the records of a store, in memory, with the orders in which
//     they are listed. It is what works offline.
//   - [Node] is what a daemon has: a catalog, and what makes and removes the
//     things that it lists.
//
// # Invariants
//
//   - The records in the store are all that there is: what a method has
//     returned is durable, what has been deleted is gone, and a crash leaves a
//     thing listed or not, never in between. Writing the record is the commit.
//   - A disk's clone carries its record until the store has it, which is soon, and
//     before anything becomes of the disk. It is found there after a crash. A disk is
//     acknowledged with one sync so, its clone's.
//   - A record exists from READY on. CREATING and DELETING are states of the
//     memory, and of the operation that is under way.
//   - A name is unique among the things of one kind in one folder. It is taken
//     from the reservation on, and given back when the making fails.
//   - The manifests that records name are what the store's garbage collection
//     keeps; nothing else refers to an image's bytes, so that deleting one
//     never waits for another.
//
// # Concurrency
//
// Catalogs and nodes are safe for concurrent use. A store has one of them; the
// store's lock sees to that. No lock is held while a record is written, except
// that of the one thing that it is the record of.
//
// The package knows nothing of the API: who may do what, and how it is said on
// the wire, is not decided here.
package pool
