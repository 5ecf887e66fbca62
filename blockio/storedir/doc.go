// Package storedir is the directory of a store: its lock, the description of the
// shards that hold everything durable, and the place of the index.
//
// [Init] makes one, [Open] opens the striped volume that it describes, with the
// shards that are there; [Adopt] makes a lost description again from the shards,
// and [Replace] gives a shard another directory.
//
// # Invariants
//
//   - The description ("layout") is replaced in one step and checks itself. It
//     holds nothing that the shards do not say, but for their paths.
//   - Paths of shards inside the directory are kept relative to it, so that it may
//     be moved; others are absolute.
//   - A directory is locked while it is open, and so is every shard: a second
//     description of the same shards cannot harm them.
//   - An empty directory in the place of a shard may be a disk that is not
//     mounted: it counts as missing until somebody asks for it to be filled.
//
// # Concurrency
//
// A Dir is used by one caller; its Volume by any number.
package storedir
