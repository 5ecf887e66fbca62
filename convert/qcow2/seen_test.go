package qcow2_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/blockmill/blockmill/convert/badimage"
	"github.com/blockmill/blockmill/convert/qcow2"
)

// fetched is a source as one that fetches, and counts the bytes that are read in pages
// of 512, those of L2 tables and refcount blocks.
type fetched struct {
	io.ReaderAt
	leaves *atomic.Int64
}

func newFetched(image []byte) fetched {
	return fetched{bytes.NewReader(image), new(atomic.Int64)}
}

func (f fetched) Pages(size int) io.ReaderAt { return fetchedPages{f, size} }

type fetchedPages struct {
	fetched
	size int
}

func (f fetchedPages) ReadAt(p []byte, off int64) (int, error) {
	if f.size == 512 {
		f.leaves.Add(int64(len(p)))
	}
	return f.ReaderAt.ReadAt(p, off)
}

func (fetchedPages) Prefetch(int64, int64) {}

// readBeside reads an image that fetches and checks it beside that: before, meaning
// that the check begins when all was read, or from the beginning on. It reads so many
// of the first bytes.
func readBeside(t testing.TB, image []byte, src fetched, opts qcow2.Options, length int64, before bool) ([]byte, error) {
	im, err := qcow2.Open(src, int64(len(image)), opts)
	if err != nil {
		return nil, err
	}
	read, checked := make(chan struct{}), make(chan error, 1)
	check := func() { checked <- im.Check(t.Context(), read) }
	if !before {
		go check()
	}
	guest := make([]byte, min(length, im.Size()))
	for off := int64(0); off < int64(len(guest)); off += window {
		p := guest[off:min(off+window, int64(len(guest)))]
		if n, rerr := im.ReadAt(p, off); n < len(p) {
			err = rerr
		}
	}
	close(read)
	if before {
		go check()
	}
	return guest, errors.Join(err, <-checked)
}

// smallClusters is an image of clusters of 512 bytes, of a guest of 2 MiB.
func smallClusters(t testing.TB, compression qcow2.Compression) (image []byte, guest []byte) {
	guest = guestSample(2 << 20)
	path := filepath.Join(t.TempDir(), "image")
	writeImage(t, path, guest, qcow2.WriterOptions{ClusterSize: 512, Compression: compression})
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return image, guest
}

// TestSeenTables breaks images of small clusters in ways that only the check finds,
// in tables that readers see, or do not, before it begins, or beside it.
func TestSeenTables(t *testing.T) {
	word := func(image []byte, off uint64) uint64 { return binary.BigEndian.Uint64(image[off:]) }
	const host = 1<<56 - 1<<9
	// The entry of the guest's last cluster that has data of its own.
	last := func(image []byte) (at uint64) {
		l1 := word(image, 40)
		for i := range uint64(64) {
			for j := uint64(0); j < 512 && word(image, l1+8*i) != 0; j += 8 {
				if entry := word(image, l1+8*i) & host; word(image, entry+j)&host != 0 {
					at = entry + j
				}
			}
		}
		return at
	}
	set := func(image []byte, at, to uint64) { binary.BigEndian.PutUint64(image[at:], to|copied) }
	for _, broken := range []struct {
		name   string
		breaks func(image []byte)
	}{
		{"sound", nil},
		{"a cluster of another", func(image []byte) { set(image, last(image), word(image, word(image, word(image, 40)+8*63)&host)&host) }},
		{"a table", func(image []byte) { set(image, last(image), word(image, word(image, 40))&host) }},
		{"a refcount block", func(image []byte) { set(image, last(image), word(image, word(image, 48))) }},
		{"a count of 0", func(image []byte) { image[word(image, word(image, 48))+1] = 0 }},
		{"a count of 2", func(image []byte) {
			cluster := word(image, last(image)) & host / 512
			block := word(image, word(image, 48)+cluster/256*8)
			image[block+cluster%256*2+1] = 2
		}},
	} {
		for name, tt := range map[string]struct {
			bytes  int64
			before bool
		}{
			"beside":          {bytes: 2 << 20},
			"before":          {bytes: 2 << 20, before: true},
			"of which a half": {bytes: 1 << 20},
			"nothing read":    {},
		} {
			t.Run(broken.name+"/"+name, func(t *testing.T) {
				image, want := smallClusters(t, qcow2.None)
				if broken.breaks != nil {
					broken.breaks(image)
				}
				src := newFetched(image)
				got, err := readBeside(t, image, src, qcow2.Options{}, tt.bytes, tt.before)
				switch {
				case broken.breaks != nil && !errors.Is(err, badimage.ErrCorrupt):
					t.Errorf("taken: %v", err)
				case broken.breaks == nil && err != nil:
					t.Error(err)
				case broken.breaks == nil && !bytes.Equal(got, want[:len(got)]):
					t.Error("the guest bytes are others")
				}
			})
		}
	}
}

// TestSeenOnce reads all of an image: the check reads no L2 table
// that readers saw.
func TestSeenOnce(t *testing.T) {
	for name, compression := range map[string]qcow2.Compression{"plain": qcow2.None, "zlib": qcow2.Zlib, "zstd": qcow2.Zstd} {
		t.Run(name, func(t *testing.T) {
			image, want := smallClusters(t, compression)
			src := newFetched(image)
			got, err := readBeside(t, image, src, qcow2.Options{}, int64(len(want)), false)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Error("the guest bytes are others")
			}
			if n := src.leaves.Load(); n > 9<<10 { // refcount blocks, which are at the end
				t.Errorf("%d bytes of tables were read by themselves", n)
			}
		})
	}
}

// FuzzSeen compares what becomes of an image that fetches with what becomes of a file.
func FuzzSeen(f *testing.F) {
	for _, compression := range []qcow2.Compression{qcow2.None, qcow2.Zlib, qcow2.Zstd} {
		path := filepath.Join(f.TempDir(), "image")
		writeImage(f, path, mixture(40<<10, 3), qcow2.WriterOptions{ClusterSize: 512, Compression: compression})
		image, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(image, false)
		f.Add(image, true)
	}
	f.Fuzz(func(t *testing.T, image []byte, before bool) {
		want, wantErr := readAll(t, bytes.NewReader(image), int64(len(image)), fuzzLimits)
		got, err := readBeside(t, image, newFetched(image), fuzzLimits, fuzzLimits.MaxSize, before)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%v, from a file %v", err, wantErr)
		}
		if err == nil && !bytes.Equal(got, want) {
			t.Error("other bytes than from a file")
		}
	})
}
