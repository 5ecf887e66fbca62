// Package vmdk reads VMware virtual disks and writes streamOptimized ones, as
// the technical note "Virtual Disk Format 5.0" describes them.
//
// [Open] reads an image in one file: monolithicSparse and streamOptimized.
// [OpenDescriptor] reads one in several: twoGbMaxExtentSparse,
// monolithicFlat and twoGbMaxExtentFlat; the caller hands over the extents'
// files, and a name in the descriptor is only compared with the names that
// come with them. Nothing named in an image is ever opened. Parents, device,
// VMFS, ZERO, COWD and SESparse extents and encryption are refused by name.
//
// Both check what can be checked at once: the header and its copy at the end,
// the descriptor, the places of the tables. [Image.Check] does the rest of the
// metadata: every table entry lies inside the file, tables and grains share no
// sector, markers agree with the tables. An operation on an image has not
// succeeded before Check has. Grains themselves are checked as they are read, and
// what was read of their markers then is not read again by a Check after that.
//
// [Create] writes a streamOptimized image: compressed grains with markers, in
// ascending order, because readers of streams expect that.
//
// Tables are paged through a small cache, so that memory is bounded whatever
// the image. An Image is safe for concurrent use, and so is a Writer for
// disjoint ranges.
package vmdk
