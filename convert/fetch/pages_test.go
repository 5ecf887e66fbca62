package fetch_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/fetch"
)

// TestPages reads tables: each page that has some of them is asked for once, however
// much data is read between, and nothing around it.
func TestPages(t *testing.T) {
	t.Parallel()
	const block, page = 1 << 20, 8 << 10
	s := newServer(t, content(16*block+100, 1))
	opts := local()
	opts.BlockSize, opts.ReadAhead, opts.Arena = block, -1, blockio.NewArena(8*block)
	src := mustOpen(t, s.URL, opts)
	var mu sync.Mutex
	var seen []string
	s.mu.Lock()
	s.handler = func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if off, end, _ := s.span(r); end-off < block/2 {
			seen = append(seen, r.Header.Get("Range"))
		}
		mu.Unlock()
		s.good(n, w, r)
	}
	s.mu.Unlock()
	tables := src.Pages(page)
	tables.(interface{ Prefetch(off, length int64) }).Prefetch(5*block, 100)
	for range 2 {
		for _, read := range []struct{ off, length int }{{2*block + 100, 8}, {2*block + 4096, 4096}, {3*block + page - 4, 8}, {16*block + 90, 10}, {5 * block, 8}} {
			p := make([]byte, read.length)
			if _, err := tables.ReadAt(p, int64(read.off)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(p, s.content[read.off:][:read.length]) {
				t.Errorf("%d bytes at %d are others", read.length, read.off)
			}
		}
		for off := range int64(16) { // data, more than is kept
			if _, err := src.ReadAt(make([]byte, block), off*block); err != nil {
				t.Fatal(err)
			}
			if _, err := src.ReadAt(make([]byte, 1), off*block); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := make([]string, 0, 5)
	for _, off := range []int{2 * block, 3 * block, 3*block + page, 5 * block} {
		want = append(want, fmt.Sprintf("bytes=%d-%d", off, off+page-1))
	}
	want = append(want, fmt.Sprintf("bytes=%d-%d", 16*block, 16*block+99))
	slices.Sort(want)
	slices.Sort(seen)
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("ranges (-want +got):\n%s", diff)
	}
	if n, err := tables.ReadAt(make([]byte, 20), 16*block+90); n != 10 || err != io.EOF {
		t.Errorf("%d bytes and %v at the end, want 10 and io.EOF", n, err)
	}
	src.Close()
	if _, err := tables.ReadAt(make([]byte, 8), 2*block); !errors.Is(err, fetch.ErrClosed) {
		t.Errorf("%v after Close, want ErrClosed", err)
	}
	if p := src.Pages(page); p != io.ReaderAt(src) {
		t.Error("pages were made after Close, which nobody closes")
	} else if _, err := p.ReadAt(make([]byte, 8), 2*block); !errors.Is(err, fetch.ErrClosed) {
		t.Errorf("%v from pages after Close, want ErrClosed", err)
	}
	if n := opts.Arena.InUse(); n != 0 {
		t.Errorf("%d bytes of the arena are in use after Close", n)
	}
}

// TestPagesOfStream takes a source that is not read in ranges: it has no pages of
// its own.
func TestPagesOfStream(t *testing.T) {
	t.Parallel()
	s := newServer(t, content(200_000, 1))
	s.etag = ""
	opts := local()
	opts.SpoolDir = t.TempDir()
	src := mustOpen(t, s.URL, opts)
	p := make([]byte, 8)
	if _, err := src.Pages(4096).ReadAt(p, 100_000); err != nil || !bytes.Equal(p, s.content[100_000:][:8]) {
		t.Errorf("%x, %v: want the bytes of the stream", p, err)
	}
}
