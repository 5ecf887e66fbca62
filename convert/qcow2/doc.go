// Package qcow2 reads and writes qcow2 images, versions 2 and 3, by QEMU's
// specification "Qcow2 Image File Format" (docs/interop/qcow2).
//
// [Open] takes any io.ReaderAt and checks the header and the places of the
// tables. The [Image] reads guest bytes ([Image.ReadAt]), tells its extents
// ([Image.Extents]), and [Image.Check] walks all tables: no conversion may be
// called done before Check has passed, since only it finds clusters that
// overlap. A [Writer] makes an image of version 3, a [View] the bytes of one that
// is nowhere written.
//
// The reader has all features of the specification except encryption and
// other files: backing files and external data files are refused by name and
// never opened. Of internal snapshots only the active layer is read. All
// refusals are badimage errors; all others come from the source.
//
// Invariants: nothing is allocated by the size of an unchecked field, tables
// are paged, and memory does not grow with the image. Bytes beyond the end of
// the source are an error, never zeros.
//
// Of a source that fetches (fetch.Source), L2 tables of small clusters are read with
// the data that stands between them, and a Check beside readers looks at what they
// read; [Image.Plan] tells what to read without reading any.
//
// An Image is safe for concurrent use and changes nothing. A Writer takes
// concurrent writes of disjoint windows.
package qcow2
