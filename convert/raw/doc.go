// Package raw reads and writes images that are the guest's bytes and nothing
// else: files and block devices.
//
// [Open] takes the extents of its source where the source knows them, so that
// holes are not read. [Create] makes a file sparse, or dense on request, and
// leaves nothing of what a block device held before.
//
// An Image is safe for concurrent use, and so is a Writer for disjoint ranges.
package raw
