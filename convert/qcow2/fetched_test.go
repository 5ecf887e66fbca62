package qcow2_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/convert/fetch"
	"github.com/blockmill/blockmill/convert/qcow2"
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

func newCountingServer(t *testing.T, file io.ReaderAt, size int64) *countingServer {
	t.Helper()
	s := new(countingServer)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(countingWriter{w, &s.sent}, r, "", time.Time{}, io.NewSectionReader(file, 0, size))
	}))
	t.Cleanup(s.Close)
	return s
}

// fetchedLayouts are ways in which QEMU writes what is fetched, by arguments of
// qemu-img convert.
var fetchedLayouts = map[string]struct {
	args  []string
	after func(t *testing.T, image string)
}{
	"512":                {args: []string{"-o", "cluster_size=512"}},
	"512 zlib":           {args: []string{"-c", "-o", "cluster_size=512"}},
	"1k zlib":            {args: []string{"-c", "-o", "cluster_size=1k"}},
	"2k":                 {args: []string{"-o", "cluster_size=2k"}},
	"4k":                 {args: []string{"-o", "cluster_size=4k"}},
	"4k out of order":    {args: []string{"-W", "-o", "cluster_size=4k"}},
	"4k zlib":            {args: []string{"-c", "-o", "cluster_size=4k"}},
	"4k zstd":            {args: []string{"-c", "-o", "cluster_size=4k,compression_type=zstd"}},
	"4k and snapshots":   {args: []string{"-o", "cluster_size=4k"}, after: rewriteAfterSnapshot},
	"64k":                {},
	"64k out of order":   {args: []string{"-W"}},
	"64k zlib":           {args: []string{"-c"}},
	"64k zlib, disorder": {args: []string{"-c", "-W"}},
	"64k zstd":           {args: []string{"-c", "-o", "compression_type=zstd"}},
	"64k and snapshots":  {after: rewriteAfterSnapshot},
	"2M":                 {args: []string{"-o", "cluster_size=2M"}},
	"2M zlib":            {args: []string{"-c", "-o", "cluster_size=2M"}},
	"2M zstd":            {args: []string{"-c", "-o", "cluster_size=2M,compression_type=zstd"}},
}

// rewriteAfterSnapshot writes over parts of what a snapshot keeps.
func rewriteAfterSnapshot(t *testing.T, image string) {
	run(t, "qemu-img", "snapshot", "-c", "one", image)
	args := []string{"-f", "qcow2"}
	for off := 1; off < 38; off += 2 {
		args = append(args, "-c", fmt.Sprintf("write -P %d %dM 300k", off, off))
	}
	run(t, "qemu-io", append(args, image)...)
}

// guestSample makes guest bytes as file systems have them: runs of all lengths,
// of text, of what does not compress, and of nothing.
func guestSample(size int) []byte {
	p := make([]byte, size)
	rng := rand.New(rand.NewPCG(1, 2))
	for off := 0; off < size; {
		n := min(4<<10<<rng.IntN(9), size-off)
		switch run := p[off : off+n]; rng.IntN(5) {
		case 0:
		case 1:
			for i := 0; i < n; i += 8 {
				binary.LittleEndian.PutUint64(run[i:], rng.Uint64())
			}
		default:
			for i := 0; i < n; i += 8 {
				copy(run[i:], fmt.Sprintf("%08x", rng.Uint32()))
			}
		}
		off += n
	}
	return p
}

// TestFetchedOnce digests images from a server: no more is sent than the file, but
// for a little, and not in small pieces, in the memory of a node that does sixteen at a time.
func TestFetchedOnce(t *testing.T) {
	needQEMU(t)
	const size = 40 << 20
	raw := filepath.Join(t.TempDir(), "raw")
	if err := os.WriteFile(raw, guestSample(size), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, layout := range fetchedLayouts {
		t.Run(name, func(t *testing.T) {
			image := filepath.Join(t.TempDir(), "image")
			run(t, "qemu-img", append(append([]string{"convert", "-f", "raw", "-O", "qcow2"}, layout.args...), raw, image)...)
			if layout.after != nil {
				layout.after(t, image)
			}
			file, err := os.Open(image)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = file.Close() })
			info, err := file.Stat()
			if err != nil {
				t.Fatal(err)
			}
			server := newCountingServer(t, file, info.Size())
			arena := blockio.NewArena(32 << 20)
			src, err := fetch.Open(t.Context(), server.URL, fetch.Options{
				Guard: fetch.Guard{Allow: []string{"127.0.0.0/8"}, AllowHTTP: true}, Arena: arena,
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = src.Close() }) // it never fails
			img, err := qcow2.Open(src, src.Size(), qcow2.Options{Arena: arena})
			if err != nil {
				t.Fatal(err)
			}
			got, err := convert.Digest(t.Context(), img, convert.Options{Arena: arena})
			if err != nil {
				t.Fatal(err)
			}
			want, err := convert.Digest(t.Context(), openFile(t, image, qcow2.Options{}), convert.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("digest %v, from the file %v", got, want)
			}
			sent := float64(server.sent.Load()) / float64(info.Size())
			requests := server.requests.Load()
			t.Logf("sent %.3f of the file of %d KiB in %d requests", sent, info.Size()>>10, requests)
			if sent > 1.1 {
				t.Errorf("%.3f times the file was sent, want at most 1.1", sent)
			}
			if most := 40 + info.Size()/(128<<10); requests > most {
				t.Errorf("%d requests for %d bytes, want at most %d", requests, info.Size(), most)
			}
		})
	}
}

// longest notes the longest read.
type longest struct {
	io.ReaderAt
	length int
}

func (l *longest) ReadAt(p []byte, off int64) (int, error) {
	l.length = max(l.length, len(p))
	return l.ReaderAt.ReadAt(p, off)
}

// TestReadsAtOnce reads compressed clusters that are packed together: many at once,
// though never so many that an image says how much memory it takes.
func TestReadsAtOnce(t *testing.T) {
	const most = 1<<20 + 2*blockio.BlockSize
	rng := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 0, 8<<20)
	for len(want) < cap(want) { // no cluster is kept as it is
		want = fmt.Appendf(want, "%08x", rng.Uint32())
	}
	path := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	w, err := qcow2.Create(f, int64(len(want)), qcow2.WriterOptions{Compression: qcow2.Zlib})
	if err != nil {
		t.Fatal(err)
	}
	for off := 0; off < len(want); off += qcow2.Window {
		if _, err := w.WriteAt(want[off:min(off+qcow2.Window, len(want))], int64(off)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	src := &longest{ReaderAt: f}
	im, err := qcow2.Open(src, info.Size(), qcow2.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := im.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the guest bytes are others")
	}
	if src.length < most/2 || src.length > most {
		t.Errorf("the longest read was of %d bytes, want about %d", src.length, most)
	}
}
