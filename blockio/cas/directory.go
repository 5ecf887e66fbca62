package cas

import (
	"container/list"
	"encoding/binary"
	"sync"
)

// directory is a segment's directory in memory, with a hash table over it.
type directory struct {
	id      SegmentID
	entries []entry  // ascending by offset
	table   []uint32 // ordinal+1 by the first bits of the digest, open addressing; 0 is empty
}

func newDirectory(id SegmentID, entries []entry) *directory {
	n := 8
	for n < 2*len(entries) {
		n *= 2
	}
	d := &directory{id: id, entries: entries, table: make([]uint32, n)}
	for i, e := range entries {
		at := d.slot(e.id)
		for d.table[at] != 0 {
			at = (at + 1) & uint32(n-1)
		}
		d.table[at] = uint32(i + 1)
	}
	return d
}

func (d *directory) slot(id chunkID) uint32 {
	return binary.LittleEndian.Uint32(id[16:]) & uint32(len(d.table)-1)
}

// find returns where the segment holds a chunk.
func (d *directory) find(id chunkID) (location, bool) {
	for at := d.slot(id); d.table[at] != 0; at = (at + 1) & uint32(len(d.table)-1) {
		ordinal := d.table[at] - 1
		if e := d.entries[ordinal]; e.id == id {
			return location{segment: d.id, ordinal: ordinal, entry: e}, true
		}
	}
	return location{}, false
}

// location is where a chunk is stored.
type location struct {
	segment SegmentID
	ordinal uint32 // in the segment's directory
	entry
}

// directories caches the directories of a few segments. Chunks that were stored
// together are asked for together, so that one answer of the index serves the
// thousands that follow.
type directories struct {
	most int

	mu     sync.RWMutex
	byID   map[SegmentID]*list.Element // guarded by mu
	order  *list.List                  // of *directory, latest first; guarded by mu
	chunks int                         // in the directories; guarded by mu
	// asked counts single chunks that were looked up in segments whose
	// directories are not cached. Guarded by mu.
	asked map[SegmentID]int
}

const (
	// directoryPays is how many single chunks of a segment are looked up before
	// its directory is loaded, which costs about as much.
	directoryPays = 16
	// askedMost bounds the segments that are counted.
	askedMost = 4 << 10
	// cachedChunks bounds the chunks of the directories, at 60 bytes or so each:
	// those of small chunks are long.
	cachedChunks = 128 << 10
)

func newDirectories(most int) *directories {
	return &directories{most: most, byID: make(map[SegmentID]*list.Element), order: list.New(), asked: make(map[SegmentID]int)}
}

// find looks a chunk up in all cached directories, latest first.
func (ds *directories) find(id chunkID) (location, bool) {
	ds.mu.RLock()
	defer ds.mu.RUnlock()
	for el := ds.order.Front(); el != nil; el = el.Next() {
		if loc, ok := el.Value.(*directory).find(id); ok {
			return loc, true
		}
	}
	return location{}, false
}

func (ds *directories) get(id SegmentID) (*directory, bool) {
	ds.mu.RLock()
	defer ds.mu.RUnlock()
	el, ok := ds.byID[id]
	if !ok {
		return nil, false
	}
	return el.Value.(*directory), true
}

// pays notes that a chunk of a segment was looked up, and says whether it is time
// to load the segment's directory.
func (ds *directories) pays(id SegmentID) bool {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if len(ds.asked) >= askedMost {
		clear(ds.asked)
	}
	ds.asked[id]++
	return ds.asked[id] >= directoryPays
}

func (ds *directories) put(d *directory) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	delete(ds.asked, d.id)
	if el, ok := ds.byID[d.id]; ok {
		ds.order.MoveToFront(el)
		return
	}
	ds.byID[d.id] = ds.order.PushFront(d)
	ds.chunks += len(d.entries)
	for n := ds.order.Len(); n > ds.most || n > 1 && ds.chunks > cachedChunks; n-- {
		ds.removeLocked(ds.order.Back())
	}
}

func (ds *directories) removeLocked(el *list.Element) {
	d := ds.order.Remove(el).(*directory)
	delete(ds.byID, d.id)
	ds.chunks -= len(d.entries)
}

func (ds *directories) drop(id SegmentID) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if el, ok := ds.byID[id]; ok {
		ds.removeLocked(el)
	}
}
