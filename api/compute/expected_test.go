package compute_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/pool"
)

const (
	digestHeader = "blockmill-expected-digest"
	sha256Header = "blockmill-expected-sha256"
)

// digestOf is the image digest of bytes that fit in a window.
func digestOf(t *testing.T, p []byte) string {
	t.Helper()
	d := cas.NewDigester(int64(len(p)))
	if err := d.PutWindow(0, p); err != nil {
		t.Fatal(err)
	}
	return must[cas.Digest](t)(d.Sum()).String()
}

// TestExpected makes images of every kind of source: each is what the headers say,
// or there is none.
func TestExpected(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	bytes := guest(4<<20, "expected")
	uri := s.put("/image", bytes)
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	local := auth.Subject{
		ID: "alice", Type: auth.UserAccount, Folders: map[pool.FolderID]auth.Grant{"f": {Role: auth.Editor}},
		UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Local: true,
	}
	op, err := w.images.Create(w.as("alice"), &computepb.CreateImageRequest{FolderId: "f", Source: &computepb.CreateImageRequest_Uri{Uri: uri}})
	image := response[*computepb.Image](w, op, err).GetId()
	op, err = w.disks.Create(w.as("alice"), &computepb.CreateDiskRequest{
		FolderId: "f", ZoneId: "z", Size: 4 << 20, Source: &computepb.CreateDiskRequest_ImageId{ImageId: image},
	})
	disk := response[*computepb.Disk](w, op, err).GetId()
	op, err = w.snapshots.Create(w.as("alice"), &computepb.CreateSnapshotRequest{FolderId: "f", DiskId: disk})
	snapshot := response[*computepb.Snapshot](w, op, err).GetId()

	sum := sha256.Sum256(bytes)
	right := map[string]string{digestHeader: digestOf(t, bytes), sha256Header: hex.EncodeToString(sum[:])}
	other := strings.Repeat("0", 64)
	create := func(req *computepb.CreateImageRequest) func(...string) (*opb.Operation, error) {
		return func(headers ...string) (*opb.Operation, error) {
			req.FolderId = "f"
			return w.images.Create(w.as("alice", headers...), req)
		}
	}
	for _, source := range []struct {
		name   string
		create func(headers ...string) (*opb.Operation, error)
		file   bool
	}{
		{"uri", create(&computepb.CreateImageRequest{Source: &computepb.CreateImageRequest_Uri{Uri: uri}}), true},
		{"file", func(headers ...string) (*opb.Operation, error) {
			ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(headers...))
			return w.services.CreateImageFromFile(auth.NewContext(ctx, local), path, &computepb.CreateImageRequest{FolderId: "f"})
		}, true},
		{"image", create(&computepb.CreateImageRequest{Source: &computepb.CreateImageRequest_ImageId{ImageId: image}}), false},
		{"snapshot", create(&computepb.CreateImageRequest{Source: &computepb.CreateImageRequest_SnapshotId{SnapshotId: snapshot}}), false},
		{"disk", create(&computepb.CreateImageRequest{Source: &computepb.CreateImageRequest_DiskId{DiskId: disk}}), false},
	} {
		for header, value := range right {
			t.Run(source.name+"/"+header, func(t *testing.T) {
				w := *w
				w.t = t
				refused := func(value string) {
					t.Helper()
					if _, err := source.create(header, value); !slices.Equal(blamed(err), []string{header}) {
						t.Errorf("%s %s: %v", header, value, err)
					}
				}
				refused("x")
				refused(other + "0")
				if header == sha256Header && !source.file {
					refused(value)
					return
				}
				before := images(t, &w)
				op, err := source.create(header, other)
				if text := w.fails(codes.FailedPrecondition, op, err); !strings.Contains(text, value) || !strings.Contains(text, other) {
					t.Errorf("%q names not both %s and %s", text, value, other)
				}
				if after := images(t, &w); after != before {
					t.Errorf("%d images, %d before", after, before)
				}
				op, err = source.create(header, value)
				response[*computepb.Image](&w, op, err)
			})
		}
	}
}

// images counts those of folder f.
func images(t *testing.T, w *world) int {
	t.Helper()
	list, err := w.images.List(w.as("alice"), &computepb.ListImagesRequest{FolderId: "f"})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.GetImages())
}
