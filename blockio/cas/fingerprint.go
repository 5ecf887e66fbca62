package cas

import (
	"encoding/binary"
	"sync"
)

// fingerprints answers "is this chunk surely unknown?" from memory, so that new
// chunks do not ask the index. It keeps a 16-bit tag for each chunk, in one of
// two buckets of eight: of as many tables as it takes, the first made for what the
// index has when they are loaded, which then take three bytes a chunk, four after
// much growth. A wrong yes happens about once in 4,000 questions a table, and only
// costs a look at the index. A chunk is never forgotten: removed ones stay as wrong
// yeses until the tables are made again.
type fingerprints struct {
	mu sync.RWMutex
	// tables get new tags in their order: a table that was full for one chunk has
	// room for others. Guarded by mu.
	tables []tagTable
	// complete says that every chunk of the index whose digest begins with a lower
	// byte is in the tables; all others are possibly known. Guarded by mu.
	complete int
	last     int // tags in the last table; guarded by mu
	buckets  int // of all tables; guarded by mu
}

const (
	bucketTags   = 8
	firstBuckets = 1 << 12

	// anyTag in the first slot of a bucket stands for every tag.
	anyTag = 1<<16 - 1
)

// tagTable is an array of buckets. Tag 0 is an empty slot.
type tagTable [][bucketTags]uint16

// bucket is the one of a choice.
func (t tagTable) bucket(choice uint32) *[bucketTags]uint16 {
	return &t[uint64(choice)*uint64(len(t))>>32]
}

// tagOf splits a chunk's digest, which is as good as random, into a tag and two
// bucket choices.
func tagOf(id chunkID) (tag uint16, b1, b2 uint32) {
	tag = min(max(binary.LittleEndian.Uint16(id[:]), 1), anyTag-1)
	return tag, binary.LittleEndian.Uint32(id[2:]), binary.LittleEndian.Uint32(id[6:])
}

func (t tagTable) has(id chunkID) bool {
	tag, b1, b2 := tagOf(id)
	first, second := t.bucket(b1), t.bucket(b2)
	for i := range bucketTags {
		if first[i] == tag || second[i] == tag {
			return true
		}
	}
	return first[0] == anyTag || second[0] == anyTag
}

// add puts a tag into the emptier of its buckets; false when both are full.
func (t tagTable) add(id chunkID) bool {
	tag, b1, b2 := tagOf(id)
	first, second := t.bucket(b1), t.bucket(b2)
	for i := range bucketTags {
		switch {
		case first[i] == 0:
			first[i] = tag
			return true
		case second[i] == 0:
			second[i] = tag
			return true
		}
	}
	return false
}

// give makes a full bucket of the chunk say yes to all.
func (t tagTable) give(id chunkID) {
	_, b1, _ := tagOf(id)
	t.bucket(b1)[0] = anyTag
}

// maybe is false only when the chunk is surely not in the index.
func (f *fingerprints) maybe(id chunkID) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return int(id[0]) >= f.complete || f.hasLocked(id)
}

func (f *fingerprints) hasLocked(id chunkID) bool {
	for _, t := range f.tables {
		if t.has(id) {
			return true
		}
	}
	return false
}

// add remembers chunks.
func (f *fingerprints) add(entries []entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range entries {
		f.addLocked(e.id)
	}
}

// addLocked adds a chunk's tag, unless maybe says yes already: segments that are
// written anew bring the same chunks over and over.
func (f *fingerprints) addLocked(id chunkID) {
	if f.hasLocked(id) {
		return
	}
	last := len(f.tables) - 1
	for i, t := range f.tables {
		if t.add(id) {
			if i == last {
				f.last++
			}
			return
		}
	}
	if last >= 0 && f.last < len(f.tables[last])*bucketTags/4 {
		f.tables[last].give(id)
		return
	}
	f.growLocked(f.buckets / 4)
	f.tables[last+1].add(id)
	f.last = 1
}

// growLocked adds a table of so many buckets, or a few.
func (f *fingerprints) growLocked(buckets int) {
	buckets = max(buckets, firstBuckets)
	f.tables = append(f.tables, make(tagTable, buckets))
	f.buckets += buckets
	f.last = 0
}

// expect begins anew, with room for so many chunks, which are to be added: all that
// were are among them, and until setComplete any is possibly known.
func (f *fingerprints) expect(chunks int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tables, f.buckets, f.complete = nil, 0, 0
	f.growLocked(chunks / bucketTags * 10 / 9)
}

// setComplete says that every chunk of the index was added whose digest begins with
// a byte lower than this.
func (f *fingerprints) setComplete(below int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.complete = below
}
