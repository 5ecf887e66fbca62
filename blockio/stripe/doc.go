// Package stripe makes one volume of several: each object is striped over k
// data and m parity shards, one object on each of k+m shard volumes, so that any
// m of them may be lost.
//
// The types to know are [Volume], made by [Init] and [Open], and its [Object],
// whose ReconstructAt is for callers that find wrong bytes with checksums of
// their own. [Volume.Scrub] finds damage, [Volume.Heal] rebuilds what is missing
// or damaged, [Volume.State] says how the shards are and how many more losses
// the objects would survive. FORMAT.md has the layout of what is stored.
//
// # Invariants
//
//   - An object is visible when at least k shards of one write of it are
//     committed, one of them on a member in sync, and acknowledged only when k+1
//     are (k where m is 0). It is whole or absent after any crash.
//   - A removed object stays removed: a member that missed a removal is known to
//     lag before the removal is acknowledged, and what only such members hold
//     does not exist. See membership.go.
//   - Too few shards are a [*LostError], never other bytes. ReadAt does not look
//     at the checksums of units, which are too long for small reads: it relies on
//     the caller's checksum and on ReconstructAt.
//   - A repair replaces a shard's object in one step, by one that is right in
//     every unit; the damaged one is there until then, and its good units count.
//   - Bytes that cannot be rebuilt have a checksum that does not match: damage is
//     never made to look right.
//   - What may still be wanted is not removed: leftovers of a crash go only while
//     all shards are present and in sync, and when too few may ever have had them.
//
// # Concurrency and memory
//
// All methods are safe for concurrent use. Buffers come from the arena, one
// reserved row at Open; only Open, Heal and Scrub wait for it. Shards are read
// and written in parallel, and one that fails a call is tried again with the
// next.
//
// The package does no work by itself: what reads and writes find wrong is queued
// for Heal, and whoever owns the volume calls it.
package stripe
