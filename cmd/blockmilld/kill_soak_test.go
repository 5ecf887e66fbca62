package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/convert/raw"
)

// endless is a disk without holes of which no two blocks are alike: each word is a
// hash of where it is.
type endless int64

func (size endless) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), int64(size)-off))
	if n <= 0 {
		return 0, io.EOF
	}
	var word [8]byte
	for i := 0; i < n; {
		at := off + int64(i)
		binary.LittleEndian.PutUint64(word[:], mix(uint64(at/8)))
		i += copy(p[i:n], word[at%8:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// mix is the finalizer of SplitMix64. That of 0 is 0, no format's signature.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// tripwire counts what a server sends, and says once when it has sent so much.
type tripwire struct {
	sent atomic.Int64
	at   int64
	once sync.Once
	cut  chan struct{}
}

func (w *tripwire) offer(t *testing.T, content io.ReaderAt, size int64) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("ETag", `"one"`)
		http.ServeContent(tripped{rw, w}, r, "", time.Time{}, io.NewSectionReader(content, 0, size))
	}))
	t.Cleanup(s.Close)
	return s
}

type tripped struct {
	http.ResponseWriter
	wire *tripwire
}

func (w tripped) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	if w.wire.sent.Add(int64(n)) >= w.wire.at {
		w.wire.once.Do(func() { close(w.wire.cut) })
	}
	return n, err
}

// TestKillSoak kills the daemon at many points of the import of an image of so
// many MiB as BLOCKMILL_KILL_IMPORT_MIB says; 4096 need 5 GiB of disk. What comes
// out is held to the digest by the import itself, and what the server has sent in
// both lives to a tenth more than the image.
func TestKillSoak(t *testing.T) {
	mibs, err := strconv.ParseInt(os.Getenv("BLOCKMILL_KILL_IMPORT_MIB"), 10, 64)
	if err != nil {
		t.Skip("BLOCKMILL_KILL_IMPORT_MIB is not set")
	}
	size := mibs * mib
	img, err := raw.Open(endless(size), size)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := convert.Digest(t.Context(), img, convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, percent := range []int64{5, 20, 35, 50, 65, 80, 95, 99} {
		t.Run(fmt.Sprint(percent), func(t *testing.T) {
			wire := &tripwire{at: size / 100 * percent, cut: make(chan struct{})}
			source := wire.offer(t, endless(size), size)
			p := newProcess(t).start()
			op := p.must("POST", "/compute/v1/images", object{"folderId": "default", "name": "big", "uri": source.URL},
				"blockmill-expected-digest", digest.String())
			<-wire.cut
			p.kill()
			before := wire.sent.Load()
			p.start()
			op = p.wait(op)
			if op["error"] != nil {
				t.Fatalf("%v", op)
			}
			if img := op["response"].(object); img["size"] != fmt.Sprint(size) || img["status"] != "READY" {
				t.Errorf("%v", img)
			}
			twice := wire.sent.Load() - size
			t.Logf("killed at %d MiB of %d: %d MiB sent twice, %.1f %%", before/mib, mibs, twice/mib, 100*float64(twice)/float64(size))
			if twice < 0 || twice > size/10 {
				t.Errorf("%d bytes of %d were sent twice, more than a tenth", twice, size)
			}
		})
	}
}
