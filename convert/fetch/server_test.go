package fetch_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/fetch"
)

// content is what a good server gives.
func content(size int, seed uint64) []byte {
	p := make([]byte, size)
	rng := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = rng.Read(p)
	return p
}

// server serves bytes, well unless it is told otherwise.
type server struct {
	*httptest.Server
	requests atomic.Int64
	served   atomic.Int64 // bytes of bodies

	mu sync.Mutex
	// handler answers the nth request, from 1 on; guarded by mu.
	handler func(s *server, n int64, w http.ResponseWriter, r *http.Request)
	tries   map[string]int64 // of each range; guarded by mu
	content []byte
	etag    string
}

// try counts the requests for the range of a request, or the rest of it.
func (s *server) try(r *http.Request) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, last, _ := strings.Cut(r.Header.Get("Range"), "-")
	s.tries[last]++
	return s.tries[last]
}

func newServer(t testing.TB, p []byte) *server {
	s := &server{content: p, etag: `"v1"`, tries: map[string]int64{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := s.requests.Add(1)
		s.mu.Lock()
		h := s.handler
		s.mu.Unlock()
		if h == nil {
			h = (*server).good
		}
		h(s, n, w, r)
	}))
	s.Server.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	return s
}

// span reads the range of a request.
func (s *server) span(r *http.Request) (off, end int64, ok bool) {
	text, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if !ok {
		return 0, int64(len(s.content)), false
	}
	first, last, _ := strings.Cut(text, "-")
	off, _ = strconv.ParseInt(first, 10, 64)
	end, _ = strconv.ParseInt(last, 10, 64)
	return off, min(end+1, int64(len(s.content))), true
}

// head writes the header of a good answer for a range.
func (s *server) head(w http.ResponseWriter, off, end int64) {
	h := w.Header()
	if s.etag != "" {
		h.Set("Etag", s.etag)
	}
	h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, end-1, len(s.content)))
	h.Set("Content-Length", strconv.FormatInt(end-off, 10))
}

func (s *server) good(_ int64, w http.ResponseWriter, r *http.Request) {
	off, end, ranged := s.span(r)
	s.head(w, off, end)
	status := http.StatusPartialContent
	if !ranged {
		w.Header().Del("Content-Range")
		status = http.StatusOK
	}
	w.WriteHeader(status)
	n, _ := w.Write(s.content[off:end])
	s.served.Add(int64(n))
}

// local are options for servers on loopback, and quick ones.
func local() fetch.Options {
	return fetch.Options{
		Guard:     fetch.Guard{Allow: []string{"127.0.0.0/8"}, AllowHTTP: true},
		BlockSize: 64 << 10, Attempts: 4, RetryDelay: time.Millisecond, MaxRetryDelay: 4 * time.Millisecond,
		HeaderTimeout: 2 * time.Second, IdleTimeout: 2 * time.Second,
	}
}

// readAll reads a source in pieces, the last ones first, and closes it.
func readAll(src *fetch.Source, piece int) ([]byte, error) {
	defer src.Close()
	p := make([]byte, src.Size())
	if len(p) == 0 {
		return p, nil
	}
	for off := (len(p) - 1) / piece * piece; off >= 0; off -= piece {
		if _, err := src.ReadAt(p[off:min(off+piece, len(p))], int64(off)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func mustOpen(t testing.TB, url string, opts fetch.Options) *fetch.Source {
	t.Helper()
	src, err := fetch.Open(t.Context(), url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 511, 64 << 10, 64<<10 + 1, 300_000, 3 << 20} {
		for _, piece := range []int{1000, 64 << 10, 100_000, 400_000} {
			s := newServer(t, content(size, 1))
			got, err := readAll(mustOpen(t, s.URL, local()), piece)
			if err != nil || !bytes.Equal(got, s.content) {
				t.Errorf("%d bytes in pieces of %d: %d bytes, %v", size, piece, len(got), err)
			}
		}
	}
}

func TestReadEnds(t *testing.T) {
	t.Parallel()
	s := newServer(t, content(200_000, 1))
	src := mustOpen(t, s.URL, local())
	p := make([]byte, 100)
	if n, err := src.ReadAt(p, 199_950); n != 50 || err != io.EOF || !bytes.Equal(p[:n], s.content[199_950:]) {
		t.Errorf("read over the end: %d, %v", n, err)
	}
	if n, err := src.ReadAt(p, 200_000); n != 0 || err != io.EOF {
		t.Errorf("read at the end: %d, %v", n, err)
	}
	if _, err := src.ReadAt(p, -1); err == nil {
		t.Error("a negative offset was read")
	}
}

// TestSingleFlight reads the same blocks from many places at once.
func TestSingleFlight(t *testing.T) {
	t.Parallel()
	s := newServer(t, content(1<<20, 2))
	src := mustOpen(t, s.URL, local())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			p := make([]byte, 1000)
			for off := 0; off+len(p) < len(s.content); off += len(p) {
				if _, err := src.ReadAt(p, int64(off)); err != nil || !bytes.Equal(p, s.content[off:off+len(p)]) {
					t.Errorf("read at %d: %v", off, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := s.served.Load(); n > int64(len(s.content)) {
		t.Errorf("%d bytes fetched of %d", n, len(s.content))
	}
}

// TestLittleMemory reads on and on with memory for a few blocks only, from which
// what is fetched ahead must not take those that are being read.
func TestLittleMemory(t *testing.T) {
	t.Parallel()
	s := newServer(t, content(4<<20, 3))
	opts := local()
	opts.Arena = blockio.NewArena(1 << 20)
	src := mustOpen(t, s.URL, opts)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			p := make([]byte, 10_000)
			for off := i * 600_000; off+len(p) < min(len(s.content), (i+2)*600_000); off += len(p) {
				if _, err := src.ReadAt(p, int64(off)); err != nil || !bytes.Equal(p, s.content[off:off+len(p)]) {
					t.Errorf("read at %d: %v", off, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := src.Close(); err != nil || opts.Arena.InUse() != 0 {
		t.Errorf("%d bytes in use after the end, %v", opts.Arena.InUse(), err)
	}
}
