package fetch_test

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/blockmill/blockmill/convert/fetch"
)

// newS3 starts versitygw with a bucket "images", and skips the test where that
// cannot be had, but never in a CI run.
func newS3(t *testing.T) *minio.Client {
	t.Helper()
	out, err := exec.Command("go", "tool", "-modfile=../../.ci/s3/go.mod", "-n", "versitygw").Output()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("versitygw: %v", err)
		}
		t.Skipf("no versitygw: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(strings.TrimSpace(string(out)), "--access", "reader", "--secret", "readersecretkey", "--port", address, "--quiet",
		"posix", "--sidecar", t.TempDir(), t.TempDir())
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // which tells of the kill
	})
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	c, err := minio.New(address, &minio.Options{
		Creds: credentials.NewStaticV4("reader", "readersecretkey", ""), Region: "us-east-1", MaxRetries: 50, Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.MakeBucket(t.Context(), "images", minio.MakeBucketOptions{}); err != nil { // tried until the server listens
		t.Fatal(err)
	}
	return c
}

func upload(t *testing.T, c *minio.Client, key string, p []byte) {
	t.Helper()
	_, err := c.PutObject(t.Context(), "images", key, bytes.NewReader(p), int64(len(p)), minio.PutObjectOptions{PartSize: 5 << 20})
	if err != nil {
		t.Fatal(err)
	}
}

func presign(t *testing.T, c *minio.Client, key string, life time.Duration) string {
	t.Helper()
	u, err := c.PresignedGetObject(t.Context(), "images", key, life, nil)
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}

// TestS3 reads pre-signed URLs of a real S3 server, as small and large objects.
func TestS3(t *testing.T) {
	c := newS3(t)
	for key, size := range map[string]int{"small.raw": 1000, "disk.raw": 300_000, "parts.raw": 12 << 20} {
		p := content(size, uint64(size))
		upload(t, c, key, p)
		src := mustOpen(t, presign(t, c, key, time.Hour), local())
		if src.Pin() == "" || strings.Contains(src.Pin(), "Signature") {
			t.Errorf("%s: pin %q", key, src.Pin())
		}
		if got, err := readAll(src, 100_000); err != nil || !bytes.Equal(got, p) {
			t.Errorf("%s: %d bytes, %v", key, len(got), err)
		}
	}
}

func TestS3Changed(t *testing.T) {
	c := newS3(t)
	upload(t, c, "disk.raw", content(1<<20, 1))
	src := mustOpen(t, presign(t, c, "disk.raw", time.Hour), local())
	upload(t, c, "disk.raw", content(1<<20, 2))
	if _, err := readAll(src, 100_000); !errors.Is(err, fetch.ErrChanged) {
		t.Errorf("another object of the name: %v", err)
	}
}

func TestS3Refused(t *testing.T) {
	c := newS3(t)
	upload(t, c, "disk.raw", content(1<<20, 1))
	short := presign(t, c, "disk.raw", time.Second)
	good := presign(t, c, "disk.raw", time.Hour)
	for name, tt := range map[string]struct{ url, hint string }{
		"another signature": {good[:len(good)-8] + "00000000", "signature may be wrong"},
		"another object":    {strings.Replace(good, "disk.raw", "other.raw", 1), "signature may be wrong"},
		"no object":         {presign(t, c, "none.raw", time.Hour), "status 404"},
		"no signature":      {good[:strings.IndexByte(good, '?')], "may be wrong"},
	} {
		_, err := fetch.Open(t.Context(), tt.url, local())
		if !errors.Is(err, fetch.ErrGone) || !strings.Contains(err.Error(), tt.hint) || strings.Contains(err.Error(), "X-Amz") {
			t.Errorf("%s: %v", name, err)
		}
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		src, err := fetch.Open(t.Context(), short, local())
		if err != nil {
			if !errors.Is(err, fetch.ErrGone) || !strings.Contains(err.Error(), "the URL expired at 20") {
				t.Errorf("expired: %v", err)
			}
			return
		}
		src.Close()
		<-tick.C
	}
}
