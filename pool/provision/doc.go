// Package provision makes the files of disks in a disk directory.
//
// The types to know are [Directory], one disk directory, which [Open] locks and
// whose abilities it tries; [Backing], the files of one disk, which
// [Directory.Make] makes by a [Method]; and golden bases: an image's bytes as a
// raw file, from which disks are cloned or which overlays read from.
//
// A directory holds
//
//	lock                    keeps other processes out
//	store                   the id of the store whose records own the disks
//	tmp/                    what is not complete
//	bases/<manifest>.raw    golden bases
//	disks/<backing>.<format>
//
// A backing is named by an id of its own, which begins with the manifest that
// it was made from, so that a ready one is known again after a crash.
//
// # Invariants
//
//   - What stands in bases and disks is complete and durable: a file is synced
//     under a temporary name, then renamed, then the directory is synced.
//     A clone for a disk has its own name from the start: it is complete and
//     durable before the disk's record is written, and a leftover without one,
//     unless it carries that in an extended attribute (../FORMAT.md).
//   - A golden base is written once, whole, zeros included, and never changed:
//     the cost of a clone grows with the number of extents. It goes when its
//     image is dropped and no overlay reads from it any more. One that nothing
//     needs also goes when bases hold more than they may, or for want of space,
//     and is written anew when it is needed again.
//   - Whose a backing is, the directory does not know: the records of the layer
//     above say so, or what a backing carries that the layer above has not got yet.
//     [Directory.Recover] removes what nobody has.
//   - A ready disk bears a time of change that no write leaves in place. Without
//     it a file is no ready disk, whatever its name: guests' bytes do not get
//     from one disk into another, even if records are lost.
//   - A disk that is being deleted is put aside ([Directory.Retire]) before its
//     record goes, so that it is not taken for a ready one after a crash, nor for
//     one whose record is only with it.
//   - What a guest wrote is never looked at to learn what a file is.
//
// # Concurrency
//
// All methods are safe for concurrent use. Of one base one is built at a time,
// and who needs it waits. Nothing is locked while files are written.
package provision
