package compute_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/blockmill/blockmill/api/compute"
	"github.com/blockmill/blockmill/convert"
)

// storage is a real S3 server with one bucket, "images".
type storage struct {
	*minio.Client
	address  string
	endpoint string
}

const (
	storageKey    = "exporter"
	storageSecret = "storagesecretkey"
)

// newStorage starts versitygw, and skips the test where that cannot be had, but
// never in a CI run.
func newStorage(t *testing.T) *storage {
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
	s := &storage{address: l.Addr().String()}
	s.endpoint = "http://" + s.address
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(strings.TrimSpace(string(out)), "--access", storageKey, "--secret", storageSecret, "--port", s.address, "--quiet",
		"posix", "--sidecar", t.TempDir(), t.TempDir())
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		cmd.Wait() // which tells of the kill
	})
	s.Client = must[*minio.Client](t)(minio.New(s.address, &minio.Options{
		Creds: credentials.NewStaticV4(storageKey, storageSecret, ""), Region: "us-east-1", MaxRetries: 50,
	}))
	if err := s.MakeBucket(t.Context(), "images", minio.MakeBucketOptions{}); err != nil { // tried until the server listens
		t.Fatal(err)
	}
	return s
}

func (s *storage) get(t *testing.T, key string) []byte {
	t.Helper()
	o := must[*minio.Object](t)(s.GetObject(t.Context(), "images", key, minio.GetObjectOptions{}))
	defer o.Close()
	return must[[]byte](t)(io.ReadAll(o))
}

func (s *storage) keys(t *testing.T) []string {
	t.Helper()
	var keys []string
	for o := range s.ListObjects(t.Context(), "images", minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		keys = append(keys, o.Key)
	}
	for u := range s.ListIncompleteUploads(t.Context(), "images", "", true) {
		keys = append(keys, "incomplete "+u.Key)
	}
	return keys
}

func (s *storage) request(id string) *computepb.ExportImageRequest {
	return &computepb.ExportImageRequest{
		ImageId:     id,
		Destination: &computepb.ExportDestination{Endpoint: s.endpoint, Bucket: "images", Prefix: "exports/"},
		Credentials: &computepb.ExportS3Credentials{AccessKeyId: storageKey, SecretAccessKey: storageSecret},
	}
}

// noise is bytes that are not alike, with holes between.
func noise(size int) []byte {
	p := make([]byte, size)
	x := uint32(1)
	for i := range p {
		if i>>20%4 == 3 {
			continue
		}
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		p[i] = byte(x)
	}
	return p
}

// What is exported to a real storage is the image, whole, and what is imported
// from there by a signed address is the same again.
func TestExport(t *testing.T) {
	s := newStorage(t)
	w := newWorld(t, func(o *compute.Options) {
		o.Export.Buckets = []compute.ExportBucket{{Endpoint: s.endpoint, Bucket: "images", AccessKeyID: storageKey, SecretAccessKey: storageSecret}}
	})
	for _, size := range []int{512, 3 << 20, 24 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			raw := noise(size)
			source := fmt.Sprintf("raw%d", size)
			if _, err := s.PutObject(t.Context(), "images", source, bytes.NewReader(raw), int64(size), minio.PutObjectOptions{DisableContentSha256: true}); err != nil {
				t.Fatal(err)
			}
			signed, err := s.PresignedGetObject(t.Context(), "images", source, time.Hour, nil)
			if err != nil {
				t.Fatal(err)
			}
			op, err := w.images.Create(w.as("alice"), &computepb.CreateImageRequest{
				FolderId: "f", Family: "fam", Labels: map[string]string{"a": "b"}, Source: &computepb.CreateImageRequest_Uri{Uri: signed.String()},
			})
			img := response[*computepb.Image](w, op, err)
			req := s.request(img.GetId())
			if size == 512 {
				req.Credentials = nil // the node has its own
			}
			op, err = w.images.Export(w.as("ursula"), req)
			got := response[*computepb.ExportResponse](w, op, err)
			if text := protojson.Format(op); strings.Contains(text, storageSecret) {
				t.Errorf("the operation tells the key: %s", text)
			}
			p := s.get(t, got.GetManifestKey())
			var m struct {
				ID, Digest, Family, Kind string
				Labels                   map[string]string
				VirtualSize              int64 `json:"virtual_size"`
				Object                   struct {
					Key, Format, SHA256 string
					Size                int64
				}
			}
			if err := json.Unmarshal(p, &m); err != nil {
				t.Fatal(err)
			}
			file := s.get(t, m.Object.Key)
			sum := sha256.Sum256(file)
			if got.GetBucket() != "images" || m.ID != img.GetId() || m.Kind != "image" || m.Family != "fam" || m.Labels["a"] != "b" || m.VirtualSize != int64(size) ||
				m.Object.Format != "qcow2" || m.Object.Size != int64(len(file)) || m.Object.SHA256 != hex.EncodeToString(sum[:]) {
				t.Errorf("manifest %s of a file of %d bytes with SHA-256 %x", p, len(file), sum)
			}
			if !strings.HasPrefix(m.Object.Key, "exports/") {
				t.Errorf("key %s", m.Object.Key)
			}
			back, format, err := convert.Open(bytes.NewReader(file), int64(len(file)), "", convert.OpenOptions{})
			if err != nil || format != convert.QCOW2 {
				t.Fatal(format, err)
			}
			digest, err := convert.Digest(t.Context(), back, convert.Options{})
			if err != nil || digest.String() != m.Digest {
				t.Errorf("digest %v, %v; the manifest says %s", digest, err, m.Digest)
			}
			guest := make([]byte, size)
			if _, err := back.ReadAt(guest, 0); err != nil || !bytes.Equal(guest, raw) {
				t.Errorf("the guest's bytes differ (%v)", err)
			}
			checkWithQEMU(t, file)

			signed, err = s.PresignedGetObject(t.Context(), "images", m.Object.Key, time.Hour, nil)
			if err != nil {
				t.Fatal(err)
			}
			op, err = w.images.Create(w.as("alice", "blockmill-expected-digest", m.Digest, "blockmill-expected-sha256", m.Object.SHA256), &computepb.CreateImageRequest{
				FolderId: "f", Source: &computepb.CreateImageRequest_Uri{Uri: signed.String()},
			})
			response[*computepb.Image](w, op, err)
		})
	}
}

func checkWithQEMU(t *testing.T, file []byte) {
	t.Helper()
	if _, err := exec.LookPath("qemu-img"); err != nil && os.Getenv("CI") != "true" {
		return
	}
	path := filepath.Join(t.TempDir(), "x.qcow2")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("qemu-img", "check", path).CombinedOutput(); err != nil {
		t.Errorf("qemu-img check: %v\n%s", err, out)
	}
}

// An export that fails or is cancelled leaves nothing in the bucket.
func TestExportFails(t *testing.T) {
	s := newStorage(t)
	w, files := newWorld(t), newWeb(t)
	op, err := w.images.Create(w.as("alice"), &computepb.CreateImageRequest{
		FolderId: "f", Source: &computepb.CreateImageRequest_Uri{Uri: files.put("/raw", noise(48<<20))},
	})
	id := response[*computepb.Image](w, op, err).GetId()

	req := s.request(id)
	req.Credentials.SecretAccessKey = "wrong"
	op, err = w.images.Export(w.as("alice"), req)
	w.fails(codes.FailedPrecondition, op, err)
	req = s.request(id)
	req.Destination.Bucket = "nosuch"
	op, err = w.images.Export(w.as("alice"), req)
	w.fails(codes.FailedPrecondition, op, err)

	// Cancelled once something was sent.
	op, err = w.images.Export(w.as("alice"), s.request(id))
	if err != nil {
		t.Fatal(err)
	}
	for p, err := range w.operations.Watch(t.Context(), op.GetId()) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Done > 0 {
			if _, err := w.operations.Cancel(t.Context(), op.GetId()); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	if done := w.wait(op, nil); done.GetError().GetCode() == int32(codes.Canceled) {
		if keys := s.keys(t); len(keys) != 0 {
			t.Errorf("left in the bucket: %v", keys)
		}
	} else if done.GetError() != nil { // it may have been quicker
		t.Errorf("cancelled: %v", done.GetError())
	}

	for name, req := range map[string]*computepb.ExportImageRequest{
		"no keys":  {ImageId: id, Destination: s.request(id).GetDestination()},
		"path":     {ImageId: id, Credentials: s.request(id).GetCredentials(), Destination: &computepb.ExportDestination{Endpoint: s.endpoint + "/x", Bucket: "b"}},
		"scheme":   {ImageId: id, Credentials: s.request(id).GetCredentials(), Destination: &computepb.ExportDestination{Endpoint: "ftp://h", Bucket: "b"}},
		"user":     {ImageId: id, Credentials: s.request(id).GetCredentials(), Destination: &computepb.ExportDestination{Endpoint: "https://u:p@h", Bucket: "b"}},
		"endpoint": {ImageId: id, Credentials: s.request(id).GetCredentials(), Destination: &computepb.ExportDestination{Bucket: "b"}},
	} {
		_, err := w.images.Export(w.as("alice"), req)
		if text := refused(t, codes.InvalidArgument, err); text == "" {
			t.Errorf("%s: nothing is said", name)
		}
	}
	_, err = w.images.Export(w.as("victor"), s.request(id))
	refused(t, codes.PermissionDenied, err)
}

// TestExportStandsStill has a storage that takes nothing of the parts.
func TestExportStandsStill(t *testing.T) {
	storage := newWeb(t)
	parts, held := make(chan struct{}, 1000), make(chan struct{})
	storage.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost && r.URL.Query().Has("uploads"):
			fmt.Fprint(w, "<InitiateMultipartUploadResult><Bucket>bucket</Bucket><Key>k</Key><UploadId>u</UploadId></InitiateMultipartUploadResult>")
		case r.Method == http.MethodPut:
			parts <- struct{}{}
			<-held
		}
	})
	w, files := newWorld(t, func(o *compute.Options) { o.Fetch.IdleTimeout = 100 * time.Millisecond }), newWeb(t)
	op, err := w.images.Create(w.as("alice"), &computepb.CreateImageRequest{
		FolderId: "f", Source: &computepb.CreateImageRequest_Uri{Uri: files.put("/raw", noise(48<<20))},
	})
	id := response[*computepb.Image](w, op, err).GetId()
	op, err = w.images.Export(w.as("alice"), &computepb.ExportImageRequest{
		ImageId: id, Destination: &computepb.ExportDestination{Endpoint: storage.URL, Bucket: "bucket", Region: "here"},
		Credentials: &computepb.ExportS3Credentials{AccessKeyId: "a", SecretAccessKey: "b"},
	})
	release := time.AfterFunc(time.Minute, func() { close(held) }) // and the storage fails otherwise
	defer func() {
		if release.Stop() {
			close(held)
		}
	}()
	w.fails(codes.Unavailable, op, err)
	if len(parts) == 0 {
		t.Error("no part was sent")
	}
}

// The guard of sources holds for destinations.
func TestExportGuarded(t *testing.T) {
	asked := make(chan struct{}, 1)
	private := newWeb(t)
	private.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} })
	w, files := newWorld(t, func(o *compute.Options) { o.Fetch.Guard.Allow = []string{"localhost"} }), newWeb(t)
	files.URL = strings.Replace(files.URL, "127.0.0.1", "localhost", 1)
	img := w.image(files, "f", "one")
	op, err := w.images.Export(w.as("alice"), &computepb.ExportImageRequest{
		ImageId: img.GetId(), Destination: &computepb.ExportDestination{Endpoint: private.URL, Bucket: "bucket"},
		Credentials: &computepb.ExportS3Credentials{AccessKeyId: "a", SecretAccessKey: "b"},
	})
	w.fails(codes.InvalidArgument, op, err)
	if len(asked) > 0 {
		t.Error("a private address was connected to")
	}
}

// A destination that no storage can have is the request's fault, whatever the
// storage.
func TestExportDestinations(t *testing.T) {
	w, files := newWorld(t), newWeb(t)
	img := w.image(files, "f", "one")
	const endpoint = "https://storage.example"
	keys := &computepb.ExportS3Credentials{AccessKeyId: "a", SecretAccessKey: "b"}
	for _, tt := range []struct {
		to   *computepb.ExportDestination
		keys *computepb.ExportS3Credentials
		want []string
	}{
		{&computepb.ExportDestination{Endpoint: endpoint, Bucket: "no bucket"}, keys, []string{"destination.bucket"}},
		{&computepb.ExportDestination{Endpoint: endpoint, Bucket: "b"}, keys, []string{"destination.bucket"}},
		{&computepb.ExportDestination{Endpoint: endpoint, Bucket: "../images"}, keys, []string{"destination.bucket"}},
		{&computepb.ExportDestination{Endpoint: endpoint, Bucket: strings.Repeat("b", 64)}, keys, []string{"destination.bucket"}},
		{&computepb.ExportDestination{Endpoint: endpoint, Bucket: "images", Prefix: strings.Repeat("ж", 500)}, keys, []string{"destination.prefix"}},
		{
			&computepb.ExportDestination{Endpoint: endpoint + "/x", Bucket: "-", Prefix: strings.Repeat("ж", 500)}, nil,
			[]string{"credentials", "destination.bucket", "destination.endpoint", "destination.prefix"},
		},
	} {
		_, err := w.images.Export(w.as("alice"), &computepb.ExportImageRequest{ImageId: img.GetId(), Destination: tt.to, Credentials: tt.keys})
		refused(t, codes.InvalidArgument, err)
		if got := blamed(err); !slices.Equal(got, tt.want) {
			t.Errorf("%v: blames %q, want %q", tt.to, got, tt.want)
		}
	}
	for _, prefix := range []string{"", "exports/", strings.Repeat("p", 512)} {
		to := &computepb.ExportDestination{Endpoint: files.URL, Bucket: "images.of-2026", Prefix: prefix}
		op, err := w.images.Export(w.as("alice"), &computepb.ExportImageRequest{ImageId: img.GetId(), Destination: to, Credentials: keys})
		w.fails(codes.FailedPrecondition, op, err) // there is no storage
	}
}
