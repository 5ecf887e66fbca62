package cas

import (
	"encoding/binary"
	"sync"
)

// fingerprints answers "is this chunk surely unknown?" from memory, so that new
// chunks do not ask the index. It keeps a 16-bit tag for each chunk, in one of
// two buckets of eight, in tables that double: two to four bytes a chunk. A wrong
// yes happens about once in 4,000 questions a table, and only costs a look at the
// index. A chunk is never forgotten: removed ones stay as wrong yeses
// until the tables are made again.
type fingerprints struct {
	mu     sync.RWMutex
	tables []tagTable // guarded by mu; new tags go to the last
	// complete says that every chunk of the index is in the tables; until
	// then all are possibly known. Guarded by mu.
	complete bool
	count    int // tags; guarded by mu
}

const (
	bucketTags   = 8
	firstBuckets = 1 << 10
)

// tagTable is an array of buckets, a power of two long. Tag 0 is an empty slot.
type tagTable [][bucketTags]uint16

// tagOf splits a chunk's digest, which is as good as random, into a tag and two
// bucket choices.
func tagOf(id chunkID) (tag uint16, b1, b2 uint32) {
	tag = max(binary.LittleEndian.Uint16(id[:]), 1)
	return tag, binary.LittleEndian.Uint32(id[2:]), binary.LittleEndian.Uint32(id[6:])
}

func (t tagTable) has(id chunkID) bool {
	tag, b1, b2 := tagOf(id)
	mask := uint32(len(t) - 1)
	first, second := &t[b1&mask], &t[b2&mask]
	for i := range bucketTags {
		if first[i] == tag || second[i] == tag {
			return true
		}
	}
	return false
}

// add puts a tag into the emptier of its buckets; false when both are full.
func (t tagTable) add(id chunkID) bool {
	tag, b1, b2 := tagOf(id)
	mask := uint32(len(t) - 1)
	first, second := &t[b1&mask], &t[b2&mask]
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

// maybe is false only when the chunk is surely not in the index.
func (f *fingerprints) maybe(id chunkID) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if !f.complete {
		return true
	}
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

func (f *fingerprints) addLocked(id chunkID) {
	if len(f.tables) == 0 {
		f.tables = append(f.tables, make(tagTable, firstBuckets))
	}
	f.count++
	last := f.tables[len(f.tables)-1]
	if last.add(id) {
		return
	}
	bigger := make(tagTable, 2*len(last))
	bigger.add(id)
	f.tables = append(f.tables, bigger)
}

// setComplete says that every chunk of the index was added.
func (f *fingerprints) setComplete() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.complete = true
}
