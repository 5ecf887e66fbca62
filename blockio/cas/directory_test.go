package cas

import (
	"encoding/binary"
	"testing"
)

// longDirectory is the directory of a segment of so many chunks.
func longDirectory(n uint64, chunks int) *directory {
	entries := make([]entry, chunks)
	var id chunkID
	binary.LittleEndian.PutUint64(id[:], n)
	for i := range entries {
		binary.LittleEndian.PutUint32(id[16:], uint32(i))
		entries[i] = entry{id: id, off: uint32(64 * i), stored: 1, raw: 1}
	}
	return newDirectory(SegmentID(id[:16]), entries)
}

// TestDirectoriesAreBounded caches many directories, and long ones: the latest stay,
// at least one.
func TestDirectoriesAreBounded(t *testing.T) {
	for _, tt := range []struct{ chunks, most, want int }{
		{chunks: 8, most: 4, want: 4},
		{chunks: cachedChunks / 3, most: 4, want: 3},
		{chunks: cachedChunks + 1, most: 4, want: 1},
	} {
		ds := newDirectories(tt.most)
		const last = 9
		for n := range uint64(last + 1) {
			ds.put(longDirectory(n, tt.chunks))
		}
		held := 0
		for n := range uint64(last + 1) {
			id := longDirectory(n, 1).entries[0].id
			if _, ok := ds.find(id); ok {
				held++
			} else if n == last {
				t.Errorf("%d chunks each: the latest directory is not there", tt.chunks)
			}
		}
		if held != tt.want || ds.chunks != held*tt.chunks {
			t.Errorf("%d chunks each: %d directories with %d chunks, expected %d", tt.chunks, held, ds.chunks, tt.want)
		}
		ds.drop(longDirectory(last, 1).id)
		if ds.chunks != (held-1)*tt.chunks {
			t.Errorf("%d chunks each: %d chunks after a drop", tt.chunks, ds.chunks)
		}
	}
}
