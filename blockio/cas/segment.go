package cas

import (
	"encoding/binary"
	"math"

	"github.com/cespare/xxhash/v2"
)

// A segment is a header, chunk records, a directory of them, and a footer at
// the very end. FORMAT.md has the tables.
const (
	segmentHeaderSize = 64
	segmentFooterSize = 96
	recordHeaderSize  = 56 // before the stored bytes of each chunk
	entrySize         = 48 // in the directory

	chunkMagic = "bmCH"

	// objectAlign is what the lengths of segments and manifests are a
	// multiple of, so that they can be written with direct I/O to the end.
	objectAlign = 4 << 10

	// maxSegment bounds segments; offsets in them fit in 32 bits.
	maxSegment = math.MaxInt32
)

// entry is a chunk's line in the directory of its segment: where its record is
// and what it says.
type entry struct {
	id     chunkID
	off    uint32 // of the record in the segment
	stored uint32 // bytes after the record's header
	raw    uint32 // bytes once decoded
	codec  Codec
}

// end is the offset of the first byte after the record.
func (e entry) end() int64 { return int64(e.off) + recordHeaderSize + int64(e.stored) }

// size is the length of the record.
func (e entry) size() int64 { return recordHeaderSize + int64(e.stored) }

// takes is what the chunk takes of its segment, its line in the directory
// included.
func (e entry) takes() int64 { return e.size() + entrySize }

// putRecordHeader writes the header of a record but for its checksum.
func putRecordHeader(p []byte, e entry) {
	copy(p[8:], chunkMagic)
	copy(p[12:], e.id[:])
	binary.LittleEndian.PutUint32(p[44:], e.stored)
	binary.LittleEndian.PutUint32(p[48:], e.raw)
	binary.LittleEndian.PutUint32(p[52:], uint32(e.codec))
}

// summed is what the checksum of a record is of, all of it but the checksum; p
// begins with the record.
func (e entry) summed(p []byte) []byte { return p[8:e.size()] }

// openRecord checks a record against what the index or directory says of it, and
// returns its stored bytes.
func openRecord(p []byte, object string, e entry) ([]byte, error) {
	return openSummed(p, object, e, xxhash.Sum64(e.summed(p)))
}

// openSummed is openRecord of a record whose checksum is known to be sum.
func openSummed(p []byte, object string, e entry, sum uint64) ([]byte, error) {
	p = p[:e.size()]
	if want := binary.LittleEndian.Uint64(p); sum != want {
		return nil, corrupt(object, int64(e.off), "checksum %016x, expected %016x", sum, want)
	}
	if found, err := parseRecord(p, e.off); err != nil || found != e {
		return nil, corrupt(object, int64(e.off), "record of chunk %v, expected %v", found.id, e.id)
	}
	return p[recordHeaderSize:], nil
}

// parseRecord reads a record's header without its checksum.
func parseRecord(p []byte, off uint32) (entry, error) {
	e := entry{
		id:     chunkID(p[12:44]),
		off:    off,
		stored: binary.LittleEndian.Uint32(p[44:]),
		raw:    binary.LittleEndian.Uint32(p[48:]),
		codec:  Codec(p[52]),
	}
	if string(p[8:12]) != chunkMagic || p[53]|p[54]|p[55] != 0 || !e.sane() {
		return e, ErrCorrupt
	}
	return e, nil
}

// sane says whether an entry can be that of a chunk.
func (e entry) sane() bool {
	return e.codec < codecs && e.raw > 0 && e.raw <= maxChunk && e.stored > 0 && e.stored <= e.raw &&
		e.off >= segmentHeaderSize && e.end() <= maxSegment
}

func appendEntry(p []byte, e entry) []byte {
	p = append(p, e.id[:]...)
	p = binary.LittleEndian.AppendUint32(p, e.off)
	p = binary.LittleEndian.AppendUint32(p, e.stored)
	p = binary.LittleEndian.AppendUint32(p, e.raw)
	return binary.LittleEndian.AppendUint32(p, uint32(e.codec))
}

func parseEntry(p []byte) entry {
	return entry{
		id:     chunkID(p[:32]),
		off:    binary.LittleEndian.Uint32(p[32:]),
		stored: binary.LittleEndian.Uint32(p[36:]),
		raw:    binary.LittleEndian.Uint32(p[40:]),
		codec:  Codec(min(binary.LittleEndian.Uint32(p[44:]), math.MaxUint8)),
	}
}

func segmentHeader(store StoreID, id SegmentID) []byte {
	p := make([]byte, 0, segmentHeaderSize)
	p = append(p, segmentMagic...)
	p = binary.LittleEndian.AppendUint32(p, formatVersion)
	p = binary.LittleEndian.AppendUint32(p, segmentHeaderSize)
	p = append(p, store[:]...)
	p = append(p, id[:]...)
	p = append(p, make([]byte, 8)...)
	return seal(p)
}

func parseSegmentHeader(p []byte, store StoreID, id SegmentID) error {
	object := id.object()
	if err := open(p, object, 0, segmentHeaderSize, segmentMagic); err != nil {
		return err
	}
	if got := StoreID(p[16:32]); got != store {
		return corrupt(object, 16, "belongs to store %v, expected %v", got, store)
	}
	if got := SegmentID(p[32:48]); got != id {
		return corrupt(object, 32, "is segment %v", got)
	}
	return allZero(p[48:56], object, 48)
}

// segmentFooter is the last segmentFooterSize bytes of a segment.
type segmentFooter struct {
	store    StoreID
	id       SegmentID
	count    uint32 // chunks
	dirOff   int64
	size     int64 // of the whole object
	rawBytes int64 // of all chunks, decoded
	dirSum   uint64
}

func (f segmentFooter) encode() []byte {
	p := make([]byte, 0, segmentFooterSize)
	p = append(p, segmentFooterMagic...)
	p = binary.LittleEndian.AppendUint32(p, formatVersion)
	p = binary.LittleEndian.AppendUint32(p, f.count)
	p = append(p, f.store[:]...)
	p = append(p, f.id[:]...)
	p = binary.LittleEndian.AppendUint64(p, uint64(f.dirOff))
	p = binary.LittleEndian.AppendUint64(p, uint64(f.size))
	p = binary.LittleEndian.AppendUint64(p, uint64(f.rawBytes))
	p = binary.LittleEndian.AppendUint64(p, f.dirSum)
	p = append(p, make([]byte, 8)...)
	return seal(p)
}

// parseSegmentFooter reads the footer of a segment that is size bytes long.
func parseSegmentFooter(p []byte, store StoreID, id SegmentID, size int64) (segmentFooter, error) {
	object, at := id.object(), size-segmentFooterSize
	if err := open(p, object, at, segmentFooterSize, segmentFooterMagic); err != nil {
		return segmentFooter{}, err
	}
	f := segmentFooter{
		count:    binary.LittleEndian.Uint32(p[12:]),
		store:    StoreID(p[16:32]),
		id:       SegmentID(p[32:48]),
		dirOff:   int64(binary.LittleEndian.Uint64(p[48:])),
		size:     int64(binary.LittleEndian.Uint64(p[56:])),
		rawBytes: int64(binary.LittleEndian.Uint64(p[64:])),
		dirSum:   binary.LittleEndian.Uint64(p[72:]),
	}
	switch {
	case f.store != store:
		return f, corrupt(object, at+16, "belongs to store %v, expected %v", f.store, store)
	case f.id != id:
		return f, corrupt(object, at+32, "is segment %v", f.id)
	case f.size != size:
		return f, corrupt(object, at+56, "length %d, expected %d", f.size, size)
	case f.dirOff < segmentHeaderSize || f.dirOff > at || int64(f.count)*entrySize > at-f.dirOff:
		return f, corrupt(object, at+48, "directory of %d entries at %d does not fit", f.count, f.dirOff)
	}
	return f, allZero(p[80:88], object, at+80)
}

// parseDirectory reads the directory that a footer describes. Records lie in
// ascending order, apart from one another, before the directory.
func parseDirectory(p []byte, f segmentFooter) ([]entry, error) {
	object := f.id.object()
	if got := xxhash.Sum64(p); got != f.dirSum {
		return nil, corrupt(object, f.dirOff, "directory checksum %016x, expected %016x", got, f.dirSum)
	}
	entries := make([]entry, 0, f.count)
	end, raw := int64(segmentHeaderSize), int64(0)
	for at := 0; at+entrySize <= len(p); at += entrySize {
		e := parseEntry(p[at:])
		if !e.sane() || int64(e.off) < end || e.end() > f.dirOff {
			return nil, corrupt(object, f.dirOff+int64(at), "entry of chunk %v: record of %d bytes at %d", e.id, e.size(), e.off)
		}
		end = e.end()
		raw += int64(e.raw)
		entries = append(entries, e)
	}
	if raw != f.rawBytes {
		return nil, corrupt(object, f.size-segmentFooterSize+64, "chunks of %d bytes, directory has %d", f.rawBytes, raw)
	}
	return entries, nil
}

// alignUp rounds n up to a multiple of unit.
func alignUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
