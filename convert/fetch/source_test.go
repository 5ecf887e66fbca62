package fetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/blockmill/blockmill/convert/fetch"
)

// TestRequests looks at what is sent: GET alone, signed URLs are for nothing else.
func TestRequests(t *testing.T) {
	t.Parallel()
	s := newServer(t, content(200_000, 1))
	var mu sync.Mutex
	var seen []string
	s.handler = func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, strings.Join([]string{r.Method, r.Header.Get("Range"), r.Header.Get("If-Match"), r.Header.Get("Accept-Encoding"), r.Header.Get("Authorization"), r.Header.Get("Referer"), r.Header.Get("Cookie")}, "|"))
		mu.Unlock()
		w.Header().Set("Set-Cookie", "a=b")
		s.good(n, w, r)
	}
	src := mustOpen(t, s.URL, local())
	if _, err := src.ReadAt(make([]byte, 10), 70_000); err != nil {
		t.Fatal(err)
	}
	want := []string{"GET|bytes=0-65535||identity|||", `GET|bytes=65536-131071|"v1"|identity|||`}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestShortRequests reads as readers of images do that find a few clusters between
// holes: what is no table is asked for alone, without the rest of a block.
func TestShortRequests(t *testing.T) {
	t.Parallel()
	const block, piece = 1 << 20, 48 << 10
	s := newServer(t, content(8*block, 1))
	opts := local()
	opts.BlockSize, opts.ReadAhead = block, 0
	src := mustOpen(t, s.URL, opts)
	var mu sync.Mutex
	var seen []string
	s.mu.Lock()
	s.handler = func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r.Header.Get("Range"))
		mu.Unlock()
		s.good(n, w, r)
	}
	s.mu.Unlock()
	for _, read := range []struct{ off, length int }{{2*block + 100, piece}, {3 * block, 512}, {3*block + 4096, 512}} {
		p := make([]byte, read.length)
		if _, err := src.ReadAt(p, int64(read.off)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(p, s.content[read.off:][:read.length]) {
			t.Errorf("%d bytes at %d are others", read.length, read.off)
		}
	}
	want := []string{
		fmt.Sprintf("bytes=%d-%d", 2*block+100, 2*block+100+piece-1),
		fmt.Sprintf("bytes=%d-%d", 3*block, 4*block-1),
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("ranges (-want +got):\n%s", diff)
	}
}

func TestPin(t *testing.T) {
	t.Parallel()
	s := newServer(t, content(200_000, 1))
	src := mustOpen(t, s.URL+"/disk.raw?X-Amz-Signature=secret", local())
	again := mustOpen(t, s.URL+"/disk.raw?X-Amz-Signature=other", local())
	if src.Pin() != again.Pin() || strings.Contains(src.Pin(), "secret") || src.Pin() == "" {
		t.Errorf("pins %q and %q of one version", src.Pin(), again.Pin())
	}
	if got, want := src.Redacted(), s.URL+"/disk.raw"; got != want {
		t.Errorf("redacted %q, want %q", got, want)
	}
	s.etag = `"v2"`
	if changed := mustOpen(t, s.URL+"/disk.raw", local()); changed.Pin() == src.Pin() {
		t.Errorf("pin %q of two versions", src.Pin())
	}
	s.etag = ""
	opts := local()
	opts.SpoolDir = t.TempDir()
	s.handler = wholeAs(func(s *server, _ int64, w http.ResponseWriter) { _, _ = w.Write(s.content) })
	if none := mustOpen(t, s.URL, opts); none.Pin() != "" {
		t.Errorf("pin %q of what says nothing", none.Pin())
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	p := content(3<<20, 9)
	good := sha256.Sum256(p)
	bad := sha256.Sum256(p[1:])
	for name, kind := range map[string]behaviour{"ranges": nil, "stream": wholeAs(func(s *server, _ int64, w http.ResponseWriter) { _, _ = w.Write(s.content) })} {
		s := newServer(t, p)
		s.handler = kind
		opts := local()
		opts.SpoolDir = t.TempDir()
		opts.SHA256 = good[:]
		if err := mustOpen(t, s.URL, opts).Verify(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := s.served.Load(); n > int64(len(p)) {
			t.Errorf("%s: %d bytes served of %d", name, n, len(p))
		}
		opts.SHA256 = bad[:]
		if err := mustOpen(t, s.URL, opts).Verify(t.Context()); !errors.Is(err, fetch.ErrChecksum) {
			t.Errorf("%s, another sum: %v", name, err)
		}
		opts.SHA256 = nil
		if err := mustOpen(t, s.URL, opts).Verify(t.Context()); err != nil {
			t.Errorf("%s, nothing expected: %v", name, err)
		}
	}
}

// TestVerifyBeside reads everything while it is hashed: the two share what is
// fetched.
func TestVerifyBeside(t *testing.T) {
	t.Parallel()
	p := content(8<<20, 9)
	sum := sha256.Sum256(p)
	s := newServer(t, p)
	opts := local()
	opts.SHA256 = sum[:]
	src := mustOpen(t, s.URL, opts)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := src.Verify(t.Context()); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		if _, err := src.ReadAt(make([]byte, len(p)), 0); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
}

// TestResume loses the connection in the middle: what came is not fetched again.
func TestResume(t *testing.T) {
	t.Parallel()
	s := newServer(t, content(1<<20, 4))
	var mu sync.Mutex
	var asked int64
	s.handler = func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		off, end, _ := s.span(r)
		mu.Lock()
		asked += end - off
		mu.Unlock()
		if n%2 == 1 {
			s.good(n, w, r)
			return
		}
		s.head(w, off, end)
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(s.content[off : off+(end-off)/2])
	}
	src := mustOpen(t, s.URL, local())
	p := make([]byte, 800_000)
	if _, err := src.ReadAt(p, 100_000); err != nil {
		t.Fatal(err)
	}
	if most := int64(64<<10 + 800_000 + 400_000); asked > most {
		t.Errorf("asked for %d bytes, want at most %d", asked, most)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := newServer(t, content(100_000, 1))
	s.handler = func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			w.WriteHeader(500)
			return
		}
		s.good(n, w, r)
	}
	reg := prometheus.NewPedanticRegistry()
	m, err := fetch.NewMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	opts := local()
	opts.Metrics = m
	if _, err := readAll(mustOpen(t, s.URL, opts), 1<<20); err != nil {
		t.Fatal(err)
	}
	err = testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP blockmill_fetch_bytes_total Bytes of bodies that were fetched.
# TYPE blockmill_fetch_bytes_total counter
blockmill_fetch_bytes_total 100000
# HELP blockmill_fetch_failures_total Ranges given up after all attempts.
# TYPE blockmill_fetch_failures_total counter
blockmill_fetch_failures_total 0
# HELP blockmill_fetch_requests_total Requests by the class of their status; error for those without one.
# TYPE blockmill_fetch_requests_total counter
blockmill_fetch_requests_total{outcome="1xx"} 0
blockmill_fetch_requests_total{outcome="2xx"} 2
blockmill_fetch_requests_total{outcome="3xx"} 0
blockmill_fetch_requests_total{outcome="4xx"} 0
blockmill_fetch_requests_total{outcome="5xx"} 1
blockmill_fetch_requests_total{outcome="error"} 0
# HELP blockmill_fetch_retries_total Attempts that were made again.
# TYPE blockmill_fetch_retries_total counter
blockmill_fetch_retries_total 1
`))
	if err != nil {
		t.Error(err)
	}
}

// TestEnds ends the source while reads wait for a server that says nothing.
func TestEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]struct {
		do   func(src *fetch.Source, cancel func())
		want error
	}{
		"close":  {func(src *fetch.Source, _ func()) { src.Close() }, fetch.ErrClosed},
		"cancel": {func(_ *fetch.Source, cancel func()) { cancel() }, context.Canceled},
	} {
		for _, size := range []int{100, 300_000} {
			s := newServer(t, content(1<<20, 1))
			waiting := make(chan struct{}, 100)
			s.handler = func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
				if n == 1 {
					s.good(n, w, r)
					return
				}
				waiting <- struct{}{}
				<-r.Context().Done()
			}
			ctx, cancel := context.WithCancel(t.Context())
			src, err := fetch.Open(ctx, s.URL, local())
			if err != nil {
				t.Fatal(err)
			}
			read := make(chan error)
			go func() {
				_, err := src.ReadAt(make([]byte, size), 200_000)
				read <- err
			}()
			<-waiting
			end.do(src, cancel)
			if err := <-read; !errors.Is(err, end.want) {
				t.Errorf("%s, %d bytes: %v", name, size, err)
			}
			if _, err := src.ReadAt(make([]byte, size), 0); !errors.Is(err, end.want) {
				t.Errorf("%s, then %d bytes: %v", name, size, err)
			}
			src.Close()
			cancel()
		}
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	s := newServer(t, content(1<<20, 1))
	s.handler = func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		if n > 1 {
			<-r.Context().Done()
			return
		}
		s.good(n, w, r)
	}
	opts := local()
	opts.Deadline = 3 * time.Second // it must do for opening, on a busy machine too
	src := mustOpen(t, s.URL, opts)
	if _, err := src.ReadAt(make([]byte, 500_000), 100_000); !errors.Is(err, fetch.ErrTemporary) || !strings.Contains(err.Error(), "time for the whole source") {
		t.Errorf("after the deadline: %v", err)
	}
}

// TestSpool leaves nothing in the directory, not even while the source is open.
func TestSpool(t *testing.T) {
	t.Parallel()
	s := newServer(t, content(500_000, 1))
	s.handler = wholeAs(func(s *server, _ int64, w http.ResponseWriter) { _, _ = w.Write(s.content) })
	opts := local()
	opts.SpoolDir = t.TempDir()
	src := mustOpen(t, s.URL, opts)
	if files, err := os.ReadDir(opts.SpoolDir); err != nil || len(files) > 0 {
		t.Errorf("files %v, %v", files, err)
	}
	if _, err := readAll(src, 1000); err != nil {
		t.Error(err)
	}
	opts.SpoolDir = filepath.Join(opts.SpoolDir, "nowhere")
	if _, err := fetch.Open(t.Context(), s.URL, opts); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
}

// TestSpoolRoom keeps a source as long as there is room, and not a byte more.
func TestSpoolRoom(t *testing.T) {
	t.Parallel()
	const room = 1 << 20
	s := newServer(t, content(3*room/2, 1))
	for _, tt := range []struct {
		name  string
		do    behaviour
		asked int64 // the most that is said to be kept
	}{
		{"no length", wholeAs(func(s *server, _ int64, w http.ResponseWriter) { _, _ = w.Write(s.content) }), room},
		{"a length", wholeAs(func(s *server, _ int64, w http.ResponseWriter) {
			w.Header().Set("Content-Length", strconv.Itoa(len(s.content)))
			_, _ = w.Write(s.content)
		}), 0},
	} {
		s.handler = tt.do
		before := s.requests.Load()
		var kept int64
		opts := local()
		opts.SpoolDir = t.TempDir()
		opts.SpoolRoom = func(n int64) error {
			if kept+n > room {
				return syscall.ENOSPC
			}
			kept += n
			return nil
		}
		if _, err := fetch.Open(t.Context(), s.URL, opts); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if kept != tt.asked {
			t.Errorf("%s: %d bytes were kept, want %d", tt.name, kept, tt.asked)
		}
		if n := s.requests.Load() - before; n != 1 {
			t.Errorf("%s: %d requests, want 1", tt.name, n)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, opts := range []fetch.Options{{MaxRedirects: 4}, {MaxRedirects: -1}, {SHA256: []byte{1}}, {BlockSize: 1}, {Parallel: -1}, {Guard: fetch.Guard{Allow: []string{"?"}}}} {
		if _, err := fetch.Open(t.Context(), "https://127.0.0.1/", opts); err == nil || errors.Is(err, fetch.ErrForbidden) {
			t.Errorf("%+v: %v", opts, err)
		}
	}
}
