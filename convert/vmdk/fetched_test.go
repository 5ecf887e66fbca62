package vmdk_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/convert/fetch"
	"github.com/blockmill/blockmill/convert/vmdk"
)

// countingServer serves a file in ranges and counts requests and what it sends.
type countingServer struct {
	*httptest.Server
	requests, sent atomic.Int64
}

type countingWriter struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (w countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.sent.Add(int64(n))
	return n, err
}

func newCountingServer(t *testing.T, file []byte) *countingServer {
	t.Helper()
	s := new(countingServer)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(countingWriter{w, &s.sent}, r, "", time.Time{}, bytes.NewReader(file))
	}))
	t.Cleanup(s.Close)
	return s
}

// halves makes guest bytes of which a half does not compress. Every other grain
// is zeros where there are holes.
func halves(size int, holes bool) []byte {
	p := make([]byte, size)
	rng := rand.NewChaCha8([32]byte{1})
	for off := 0; off < size; off += 64 << 10 {
		if !holes || off/(64<<10)%2 == 0 {
			_, _ = rng.Read(p[off : off+32<<10]) // it never fails
		}
	}
	return p
}

// TestFetchedOnce converts streams from a server: what is sent is little more
// than the file, wherever the tables stand, although the check wants to see the
// marker of every grain.
func TestFetchedOnce(t *testing.T) {
	const size = 64 << 20
	dense, holed := halves(size, false), halves(size, true)
	for name, s := range map[string]stream{
		"tables first":      {guest: dense, front: true, level: -2},
		"tables last":       {guest: dense, level: -2},
		"tables among":      {guest: dense, early: true, level: -2},
		"holes among":       {guest: holed, early: true, level: -2},
		"grains of 4 KiB":   {guest: dense[:size/2], early: true, level: -2, grain: 8},
		"grains of 512 KiB": {guest: dense, early: true, level: -2, grain: 1024},
	} {
		t.Run(name, func(t *testing.T) {
			file, _ := s.build(t)
			server := newCountingServer(t, file)
			src, err := fetch.Open(t.Context(), server.URL, fetch.Options{
				Guard: fetch.Guard{Allow: []string{"127.0.0.0/8"}, AllowHTTP: true}, Arena: blockio.NewArena(16 << 20),
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { src.Close() })
			img, err := vmdk.Open(src, src.Size(), vmdk.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := convert.Digest(t.Context(), img, convert.Options{}); err != nil {
				t.Fatal(err)
			}
			sent := float64(server.sent.Load()) / float64(len(file))
			requests := server.requests.Load()
			t.Logf("sent %.3f of the file of %d KiB in %d requests", sent, len(file)>>10, requests)
			if sent > 1.15 {
				t.Errorf("%.2f times the file was sent, want at most 1.15", sent)
			}
			if most := 40 + int64(len(file))/(32<<10); requests > most {
				t.Errorf("%d requests for %d bytes, want at most %d", requests, len(file), most)
			}
		})
	}
}

// markerReads counts reads as short as a grain's marker.
type markerReads struct {
	*bytes.Reader
	n atomic.Int64
}

func (r *markerReads) ReadAt(p []byte, off int64) (int, error) {
	if len(p) == 12 {
		r.n.Add(1)
	}
	return r.Reader.ReadAt(p, off)
}

// TestSeenGrains checks after reading: only markers of grains that were not
// read, or were forgotten, are read then.
func TestSeenGrains(t *testing.T) {
	file, l := stream{guest: halves(80<<20, true), early: true, level: 1}.build(t)
	first := 0 // grains in the first table
	for g := range l.grains {
		if g < 512 {
			first++
		}
	}
	for _, tt := range []struct {
		name   string
		tables int
		read   int64
		want   int
	}{
		{"all read", 100, 80 << 20, 0},
		{"one table remembered", 1, 80 << 20, len(l.grains) - first},
		{"one table read", 100, 32 << 20, len(l.grains) - first},
		{"nothing read", 100, 0, len(l.grains)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := &markerReads{Reader: bytes.NewReader(file)}
			img, err := vmdk.Open(src, src.Size(), vmdk.Options{})
			if err != nil {
				t.Fatal(err)
			}
			img.SeeTables(tt.tables)
			if _, err := readAll(io.NewSectionReader(img, 0, tt.read), tt.read); err != nil {
				t.Fatal(err)
			}
			read := make(chan struct{})
			close(read)
			if err := img.Check(t.Context(), read); err != nil {
				t.Fatal(err)
			}
			if got := src.n.Load(); got != int64(tt.want) {
				t.Errorf("%d markers read, want %d", got, tt.want)
			}
		})
	}
}

// TestCheckWaits holds a reader back: until it is done the check reads no
// marker, but finds what the tables alone tell.
func TestCheckWaits(t *testing.T) {
	file, l := stream{guest: halves(2<<20, false), early: true}.build(t)
	copy(file[l.tables[0]+4:l.tables[0]+8], file[l.tables[0]:])
	src := &markerReads{Reader: bytes.NewReader(file)}
	img, err := vmdk.Open(src, src.Size(), vmdk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := img.Check(t.Context(), make(chan struct{})); err == nil {
		t.Error("two entries for one grain are taken")
	}
	if n := src.n.Load(); n > 0 {
		t.Errorf("%d markers were read", n)
	}
}
