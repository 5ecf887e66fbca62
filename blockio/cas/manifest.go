package cas

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// A manifest is a header, one part for each window that holds data, in the order
// they arrived, a directory of parts ordered by window, and a footer at the
// very end. FORMAT.md has the tables.
const (
	manifestHeaderSize = 128
	manifestFooterSize = 128
	partHeaderSize     = 24
	chunkEntrySize     = 40 // in a part

	// The directory is made of pages that check themselves, so that a
	// lookup reads a few of them and never all.
	pageSize       = 4 << 10
	pageHeaderSize = 16
	placeSize      = 16
	pagePlaces     = (pageSize - pageHeaderSize) / placeSize
)

// maxPart is the length of the largest part.
const maxPart = partHeaderSize + maxSpans*chunkEntrySize

// place is a part's line in the directory.
type place struct {
	window uint32
	count  uint32 // chunks
	off    int64  // of the part in the manifest
}

// size is the length of the part in bytes.
func (p place) size() int { return partHeaderSize + int(p.count)*chunkEntrySize }

// manifestHead is the header of a manifest.
type manifestHead struct {
	store StoreID
	id    ManifestID
	size  int64 // virtual
	cut   Cut
}

func (h manifestHead) encode() []byte {
	p := make([]byte, 0, manifestHeaderSize)
	p = append(p, manifestMagic...)
	p = binary.LittleEndian.AppendUint32(p, formatVersion)
	p = binary.LittleEndian.AppendUint32(p, manifestHeaderSize)
	p = append(p, h.store[:]...)
	p = append(p, h.id[:]...)
	p = binary.LittleEndian.AppendUint64(p, uint64(h.size))
	p = h.cut.append(p)
	p = binary.LittleEndian.AppendUint32(p, WindowSize)
	p = append(p, make([]byte, manifestHeaderSize-8-len(p))...)
	return seal(p)
}

func parseManifestHead(p []byte, store StoreID, id ManifestID) (manifestHead, error) {
	object := id.object()
	if err := open(p, object, 0, manifestHeaderSize, manifestMagic); err != nil {
		return manifestHead{}, err
	}
	h := manifestHead{
		store: StoreID(p[16:32]),
		id:    ManifestID(p[32:48]),
		size:  int64(binary.LittleEndian.Uint64(p[48:])),
	}
	var err error
	if h.cut, err = parseCut(p[56:]); err != nil {
		return h, corrupt(object, 56, "%v", err)
	}
	switch win := binary.LittleEndian.Uint32(p[88:]); {
	case h.store != store:
		return h, corrupt(object, 16, "belongs to store %v, expected %v", h.store, store)
	case h.id != id:
		return h, corrupt(object, 32, "is manifest %v", h.id)
	case checkSize(h.size) != nil:
		return h, corrupt(object, 48, "%v", checkSize(h.size))
	case win != WindowSize:
		return h, corrupt(object, 88, "windows of %d bytes, expected %d", win, WindowSize)
	}
	return h, allZero(p[92:120], object, 92)
}

// manifestFoot is the footer of a manifest.
type manifestFoot struct {
	store   StoreID
	id      ManifestID
	digest  Digest
	windows int64 // that have a part
	dirOff  int64
	size    int64 // of the whole object
	chunks  int64
	data    int64 // bytes of all chunks
}

func (f manifestFoot) encode() []byte {
	p := make([]byte, 0, manifestFooterSize)
	p = append(p, manifestFooterMagic...)
	p = binary.LittleEndian.AppendUint32(p, formatVersion)
	p = binary.LittleEndian.AppendUint32(p, 0)
	p = append(p, f.store[:]...)
	p = append(p, f.id[:]...)
	p = append(p, f.digest[:]...)
	p = binary.LittleEndian.AppendUint64(p, uint64(f.windows))
	p = binary.LittleEndian.AppendUint64(p, uint64(f.dirOff))
	p = binary.LittleEndian.AppendUint64(p, uint64(f.size))
	p = binary.LittleEndian.AppendUint64(p, uint64(f.chunks))
	p = binary.LittleEndian.AppendUint64(p, uint64(f.data))
	return seal(p)
}

// parseManifestFoot reads the footer of a manifest that is size bytes long.
func parseManifestFoot(p []byte, h manifestHead, size int64) (manifestFoot, error) {
	object, at := h.id.object(), size-manifestFooterSize
	if err := open(p, object, at, manifestFooterSize, manifestFooterMagic); err != nil {
		return manifestFoot{}, err
	}
	f := manifestFoot{
		store:   StoreID(p[16:32]),
		id:      ManifestID(p[32:48]),
		digest:  Digest(p[48:80]),
		windows: int64(binary.LittleEndian.Uint64(p[80:])),
		dirOff:  int64(binary.LittleEndian.Uint64(p[88:])),
		size:    int64(binary.LittleEndian.Uint64(p[96:])),
		chunks:  int64(binary.LittleEndian.Uint64(p[104:])),
		data:    int64(binary.LittleEndian.Uint64(p[112:])),
	}
	most := (h.size + WindowSize - 1) / WindowSize
	switch {
	case f.store != h.store || f.id != h.id:
		return f, corrupt(object, at+16, "is of manifest %v of store %v", f.id, f.store)
	case f.size != size:
		return f, corrupt(object, at+96, "length %d, expected %d", f.size, size)
	case f.windows < 0 || f.windows > most:
		return f, corrupt(object, at+80, "%d windows, at most %d", f.windows, most)
	case f.dirOff < manifestHeaderSize || f.dirOff > at || f.pages()*pageSize > at-f.dirOff:
		return f, corrupt(object, at+88, "directory of %d windows at %d does not fit", f.windows, f.dirOff)
	case f.chunks < f.windows || f.chunks > f.windows*maxSpans || f.data < f.chunks || f.data > h.size:
		return f, corrupt(object, at+104, "%d chunks of %d bytes", f.chunks, f.data)
	}
	return f, allZero(p[12:16], object, at+12)
}

// pages is the number of directory pages.
func (f manifestFoot) pages() int64 { return (f.windows + pagePlaces - 1) / pagePlaces }

// appendPart appends the part of a window.
func appendPart(p []byte, index int64, chunks []chunk) []byte {
	at := len(p)
	p = append(p, make([]byte, 8)...)
	p = binary.LittleEndian.AppendUint64(p, uint64(index))
	p = binary.LittleEndian.AppendUint32(p, uint32(len(chunks)))
	p = binary.LittleEndian.AppendUint32(p, 0)
	for _, c := range chunks {
		p = binary.LittleEndian.AppendUint32(p, c.off)
		p = binary.LittleEndian.AppendUint32(p, c.len)
		p = append(p, c.id[:]...)
	}
	binary.LittleEndian.PutUint64(p[at:], xxhash.Sum64(p[at+8:]))
	return p
}

// parsePart reads the part at a place and appends its chunks, which lie in the
// first limit bytes of the window, ascending and apart.
func parsePart(dst []chunk, p []byte, object string, at place, limit int64) ([]chunk, error) {
	if got, want := xxhash.Sum64(p[8:]), binary.LittleEndian.Uint64(p); got != want {
		return dst, corrupt(object, at.off, "part checksum %016x, expected %016x", got, want)
	}
	index, count := binary.LittleEndian.Uint64(p[8:]), binary.LittleEndian.Uint32(p[16:])
	if index != uint64(at.window) || count != at.count {
		return dst, corrupt(object, at.off, "part of window %d with %d chunks, expected %d with %d", index, count, at.window, at.count)
	}
	if err := allZero(p[20:24], object, at.off+20); err != nil {
		return dst, err
	}
	end := int64(0)
	for n := partHeaderSize; n < len(p); n += chunkEntrySize {
		c := chunk{
			span: span{binary.LittleEndian.Uint32(p[n:]), binary.LittleEndian.Uint32(p[n+4:])},
			id:   chunkID(p[n+8 : n+chunkEntrySize]),
		}
		if int64(c.off) < end || c.len == 0 || c.len > maxChunk || int64(c.off)+int64(c.len) > limit {
			return dst, corrupt(object, at.off+int64(n), "chunk of %d bytes at %d of the window", c.len, c.off)
		}
		end = int64(c.off) + int64(c.len)
		dst = append(dst, c)
	}
	return dst, nil
}

// appendPage appends a page of the directory.
func appendPage(p []byte, places []place) []byte {
	at := len(p)
	p = append(p, make([]byte, 8)...)
	p = binary.LittleEndian.AppendUint64(p, uint64(len(places)))
	for _, pl := range places {
		p = binary.LittleEndian.AppendUint32(p, pl.window)
		p = binary.LittleEndian.AppendUint32(p, pl.count)
		p = binary.LittleEndian.AppendUint64(p, uint64(pl.off))
	}
	p = append(p, make([]byte, pageSize-(len(p)-at))...)
	binary.LittleEndian.PutUint64(p[at:], xxhash.Sum64(p[at+8:at+pageSize]))
	return p
}

// parsePage reads page n of the directory.
func parsePage(p []byte, h manifestHead, f manifestFoot, n int64) ([]place, error) {
	object, off := h.id.object(), f.dirOff+n*pageSize
	if got, want := xxhash.Sum64(p[8:pageSize]), binary.LittleEndian.Uint64(p); got != want {
		return nil, corrupt(object, off, "page checksum %016x, expected %016x", got, want)
	}
	want := min(f.windows-n*pagePlaces, pagePlaces)
	if got := binary.LittleEndian.Uint64(p[8:]); got != uint64(want) {
		return nil, corrupt(object, off+8, "page of %d windows, expected %d", got, want)
	}
	places := make([]place, want)
	for i := range places {
		b := p[pageHeaderSize+i*placeSize:]
		pl := place{
			window: binary.LittleEndian.Uint32(b),
			count:  binary.LittleEndian.Uint32(b[4:]),
			off:    int64(binary.LittleEndian.Uint64(b[8:])),
		}
		if err := pl.check(h, f); err != nil || i > 0 && pl.window <= places[i-1].window {
			return nil, corrupt(object, off+int64(pageHeaderSize+i*placeSize), "window %d with %d chunks at %d", pl.window, pl.count, pl.off)
		}
		places[i] = pl
	}
	return places, nil
}

func (p place) check(h manifestHead, f manifestFoot) error {
	n := windowLen(h.size, int64(p.window))
	if most := (n + grid - 1) / grid; p.count == 0 || int64(p.count) > most {
		return fmt.Errorf("%d chunks, at most %d", p.count, most)
	}
	if p.off < manifestHeaderSize || p.off > f.dirOff-int64(p.size()) {
		return fmt.Errorf("part at %d does not fit", p.off)
	}
	return nil
}
