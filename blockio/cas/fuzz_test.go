package cas

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
)

// golden adds the golden objects of a kind to the corpus.
func golden(f *testing.F, kind string) (paths []string) {
	paths, err := filepath.Glob(filepath.Join("testdata/golden", kind, "*"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no golden %s: %v", kind, err)
	}
	for _, path := range paths {
		p, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p, false)
		f.Add(p, true)
	}
	return paths
}

// reseal corrects the checksum that ends a frame of p, so that fuzzing gets past
// it.
func reseal(p []byte) {
	if len(p) >= 8 {
		binary.LittleEndian.PutUint64(p[len(p)-8:], xxhash.Sum64(p[:len(p)-8]))
	}
}

// wellBehaved says that a parser's error is one that it may give.
func wellBehaved(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewerVersion) && !errors.Is(err, io.EOF) {
		t.Errorf("error %v is neither ErrCorrupt nor ErrNewerVersion", err)
	}
}

func FuzzHeader(f *testing.F) {
	golden(f, "meta")
	f.Fuzz(func(t *testing.T, p []byte, fix bool) {
		if fix {
			reseal(p)
		}
		h, err := parseHeader(p)
		wellBehaved(t, err)
		if err == nil && len(p) == headerSize {
			if again := h.encode(); !bytes.Equal(again, p) && len(h.creator) > 0 && !strings.Contains(string(p[64:96]), "\x00") {
				t.Errorf("% x was read, and written as % x", p, again)
			}
		}
	})
}

func FuzzRecord(f *testing.F) {
	golden(f, "records")
	f.Fuzz(func(t *testing.T, p []byte, fix bool) {
		if fix {
			reseal(p)
		}
		var store StoreID
		if len(p) >= 32 {
			store = StoreID(p[16:32])
		}
		name := recordName{"image", "v0", 1}
		r, err := parseRecordObject(p, store, name)
		wellBehaved(t, err)
		if err == nil && !bytes.Equal(r.encode(store, 1), p) {
			t.Errorf("% x was read, and written as % x", p, r.encode(store, 1))
		}
		r.Kind = draftKind
		d, err := parseDraft(r)
		wellBehaved(t, err)
		if err == nil && !bytes.Equal(d.record().Payload, r.Payload) {
			t.Errorf("draft % x was read, and written as % x", r.Payload, d.record().Payload)
		}
	})
}

func FuzzBatch(f *testing.F) {
	store := StoreID{7}
	var records []encodedRecord
	for i, id := range []string{"v0", "v1"} {
		r := Record{Kind: "image", ID: id, Payload: []byte(id)}
		records = append(records, encodedRecord{recordName{r.Kind, r.ID, uint64(i)}, r.encode(store, uint64(i))})
	}
	p, want := encodeBatch(store, 3, 2, records)
	if got, err := parseBatch(p, store, 3); err != nil || !reflect.DeepEqual(got, want) {
		f.Fatalf("%v, %v; want %v", got, err, want)
	}
	f.Add(p, false)
	f.Add(p[:len(p)-1], true)
	f.Fuzz(func(t *testing.T, p []byte, fix bool) {
		if n := batchHeadSize; fix && len(p) >= n {
			if size := int(binary.LittleEndian.Uint32(p[12:])); size >= n && size <= len(p) {
				reseal(p[:size])
			}
		}
		b, err := parseBatch(p, store, 3)
		wellBehaved(t, err)
		if err != nil {
			return
		}
		var again []encodedRecord
		for i, s := range b.slots {
			again = append(again, encodedRecord{b.names[i], p[s.off : s.off+s.size]})
		}
		if q, _ := encodeBatch(store, b.serial, b.replaces, again); !bytes.Equal(q, p) {
			t.Errorf("% x was read, and written as % x", p, q)
		}
	})
}

func FuzzSegment(f *testing.F) {
	raw, err := parseID(filepath.Base(golden(f, "segments")[0]))
	if err != nil {
		f.Fatal(err)
	}
	coders := newCoders()
	f.Fuzz(func(t *testing.T, p []byte, fix bool) {
		var store StoreID
		id := SegmentID(raw)
		if fix && len(p) >= segmentHeaderSize+segmentFooterSize {
			id = SegmentID(p[32:48])
			store = StoreID(p[16:32])
			foot := p[len(p)-segmentFooterSize:]
			off, count := binary.LittleEndian.Uint64(foot[48:]), uint64(binary.LittleEndian.Uint32(foot[12:]))
			if off < uint64(len(p)) && count*entrySize < uint64(len(p))-off {
				binary.LittleEndian.PutUint64(foot[72:], xxhash.Sum64(p[off:off+count*entrySize]))
			}
			reseal(p[:segmentHeaderSize])
			reseal(foot)
		}
		_, entries, err := readDirectory(bytes.NewReader(p), store, id, int64(len(p)))
		wellBehaved(t, err)
		for _, e := range entries {
			rec := p[e.off:e.end()]
			if fix {
				putRecordHeader(rec, e)
				binary.LittleEndian.PutUint64(rec, xxhash.Sum64(e.summed(rec)))
			}
			stored, err := openRecord(rec, id.object(), e)
			wellBehaved(t, err)
			if err == nil {
				_ = coders.decode(e.codec, make([]byte, e.raw), stored)
			}
		}
	})
}

// memObject is an object that is bytes.
type memObject struct{ *bytes.Reader }

func (memObject) Close() error { return nil }

// disordered is a manifest with two windows of its directory swapped.
func disordered(p []byte) []byte {
	p = bytes.Clone(p)
	page := p[binary.LittleEndian.Uint64(p[len(p)-manifestFooterSize+88:]):][pageHeaderSize:]
	a, b := bytes.Clone(page[:placeSize]), bytes.Clone(page[placeSize:2*placeSize])
	copy(page, b)
	copy(page[placeSize:], a)
	return p
}

func FuzzManifest(f *testing.F) {
	for _, path := range golden(f, "manifests") {
		p, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(disordered(p), true)
	}
	f.Fuzz(func(t *testing.T, p []byte, fix bool) {
		var store StoreID
		var id ManifestID
		if len(p) >= manifestHeaderSize+manifestFooterSize {
			store, id = StoreID(p[16:32]), ManifestID(p[32:48])
			if fix {
				resealManifest(p)
			}
		}
		m := &manifest{obj: memObject{bytes.NewReader(p)}, pages: newPages()}
		if err := m.load(store, id); err != nil {
			wellBehaved(t, err)
			return
		}
		last, parts := int64(-1), 0
		for at, err := range m.places(0) {
			wellBehaved(t, err)
			if err != nil {
				return
			}
			if int64(at.window) <= last {
				t.Fatalf("window %d after %d", at.window, last)
			}
			last = int64(at.window)
			if parts++; parts > 1000 {
				return
			}
			chunks, err := m.part(at)
			wellBehaved(t, err)
			for _, c := range chunks {
				if end := int64(at.window)*WindowSize + int64(c.off) + int64(c.len); end > m.head.size {
					t.Fatalf("chunk ends at %d of %d", end, m.head.size)
				}
			}
		}
	})
}

// resealManifest corrects the checksums of a manifest that can be found: those of
// the first page of its directory and of its parts, of header and footer.
func resealManifest(p []byte) {
	foot := p[len(p)-manifestFooterSize:]
	if dir := binary.LittleEndian.Uint64(foot[88:]); dir < uint64(len(p)) && dir+pageSize <= uint64(len(p)) {
		page := p[dir : dir+pageSize]
		for e := page[pageHeaderSize:]; len(e) >= placeSize; e = e[placeSize:] {
			at, n := binary.LittleEndian.Uint64(e[8:]), uint64(partHeaderSize)+uint64(binary.LittleEndian.Uint32(e[4:]))*chunkEntrySize
			if at >= manifestHeaderSize && at < dir && n <= dir-at {
				part := p[at : at+n]
				binary.LittleEndian.PutUint64(part, xxhash.Sum64(part[8:]))
			}
		}
		binary.LittleEndian.PutUint64(page, xxhash.Sum64(page[8:]))
	}
	reseal(p[:manifestHeaderSize])
	reseal(foot)
}

func FuzzLocation(f *testing.F) {
	f.Add(appendLocation(location{entry: entry{off: 64, stored: 1, raw: 1}}))
	f.Fuzz(func(t *testing.T, p []byte) {
		loc, err := parseLocation(chunkID{}, p)
		wellBehaved(t, err)
		if err == nil && !bytes.Equal(appendLocation(loc), p) {
			t.Errorf("% x was read, and written as % x", p, appendLocation(loc))
		}
	})
}
