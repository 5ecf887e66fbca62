// Package blockiotest holds what tests of everything above blockio need: a
// Volume in memory that can crash and fail on demand, and the conformance suite
// that every Volume must pass.
//
// A [MemVolume] is blockio's own DirVolume over a file system in memory, so a
// commit makes the very steps that it makes on disk, each of them counted. The
// file system knows what was synced and what was not: [MemVolume.CrashClone]
// gives a volume as it could be found after a power cut at that instant, with
// the rest lost, kept or torn. [MemVolume.Inject] makes a call fail, and
// [MemVolume.DropSyncs] takes a sync away, to see that a test would notice.
//
// The types are safe for concurrent use.
package blockiotest
