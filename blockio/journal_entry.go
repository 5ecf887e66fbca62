package blockio

import (
	"encoding/binary"
	"hash/crc32"
)

// Sizes of the journal; FORMAT.md has its layout.
const (
	// journalSize is the default length of a journal.
	journalSize = 8 << 20
	// smallObject bounds the objects that the journal takes.
	smallObject = 64 << 10

	// LeastJournal is the length of a journal each of whose halves holds one entry
	// of any size.
	LeastJournal = 2 * (smallObject + BlockSize)

	entryHeader  = 48
	entryVersion = 1
)

const entryMagic = "bmJENT\n\x00"

// entryKind says what an entry does to its object.
type entryKind uint32

const (
	entryPut    entryKind = 1 // the object is there, with the entry's bytes
	entryRemove entryKind = 2 // the object is gone
	entryKeep   entryKind = 3 // the directory has what became of the object: earlier entries do not count
)

// journalEntry is one change of one object.
type journalEntry struct {
	kind entryKind
	name string
	data []byte // of a put
}

// entryPlace says where an entry belongs: all of one use of a half have its
// generation, and each the next sequence number of the whole journal.
type entryPlace struct{ generation, sequence uint64 }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// entrySize is the encoded length of an entry: it begins with a block and fills its
// last, so that no block is written twice.
func entrySize(name string, data []byte) int {
	n := entryHeader + len(name) + len(data)
	return (n + BlockSize - 1) / BlockSize * BlockSize
}

func (e journalEntry) encode(at entryPlace) []byte {
	p := make([]byte, entrySize(e.name, e.data))
	copy(p, entryMagic)
	binary.LittleEndian.PutUint32(p[8:], entryVersion)
	binary.LittleEndian.PutUint32(p[12:], uint32(e.kind))
	binary.LittleEndian.PutUint64(p[16:], at.generation)
	binary.LittleEndian.PutUint64(p[24:], at.sequence)
	binary.LittleEndian.PutUint32(p[32:], uint32(len(e.name)))
	binary.LittleEndian.PutUint32(p[36:], uint32(len(e.data)))
	copy(p[entryHeader:], e.name)
	copy(p[entryHeader+len(e.name):], e.data)
	binary.LittleEndian.PutUint32(p[40:], entrySum(p, len(e.name)+len(e.data)))
	return p
}

// entrySum is the checksum of an encoded entry, its own field left out.
func entrySum(p []byte, body int) uint32 {
	sum := crc32.Update(0, castagnoli, p[:40])
	return crc32.Update(sum, castagnoli, p[entryHeader:entryHeader+body])
}

// parseEntry reads the entry that p begins with; false without a whole one.
func parseEntry(p []byte) (e journalEntry, at entryPlace, ok bool) {
	if len(p) < entryHeader || string(p[:8]) != entryMagic || binary.LittleEndian.Uint32(p[8:]) != entryVersion {
		return e, at, false
	}
	name, data := int64(binary.LittleEndian.Uint32(p[32:])), int64(binary.LittleEndian.Uint32(p[36:]))
	if name+data > int64(len(p)-entryHeader) || data > smallObject ||
		binary.LittleEndian.Uint32(p[40:]) != entrySum(p, int(name+data)) {
		return e, at, false
	}
	e.kind = entryKind(binary.LittleEndian.Uint32(p[12:]))
	e.name = string(p[entryHeader : entryHeader+name])
	e.data = p[entryHeader+name : entryHeader+name+data]
	at.generation = binary.LittleEndian.Uint64(p[16:])
	at.sequence = binary.LittleEndian.Uint64(p[24:])
	_, err := checkName(e.name)
	ok = err == nil && e.kind >= entryPut && e.kind <= entryKeep && (e.kind == entryPut || len(e.data) == 0)
	return e, at, ok
}
