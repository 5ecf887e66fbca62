package compute_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/access"
	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/pool"
)

// blamed are the fields that an error blames, in order.
func blamed(err error) []string {
	var fields []string
	for _, d := range grpcstatus.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				fields = append(fields, v.GetField())
			}
		}
	}
	slices.Sort(fields)
	return fields
}

// TestViolationsAreTold makes requests that the message alone, headers or the state
// of the node are against: one answer blames every field.
func TestViolationsAreTold(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	ctx := w.as("alice")
	op, err := w.images.Create(ctx, &computepb.CreateImageRequest{
		FolderId: "f", Name: "there", Source: &computepb.CreateImageRequest_Uri{Uri: s.put("/large", guest(8<<20, "large"))},
	})
	image := response[*computepb.Image](w, op, err).GetId()
	op, err = w.disks.Create(ctx, &computepb.CreateDiskRequest{FolderId: "f", Name: "there", ZoneId: "z", Size: 8 << 20})
	disk := response[*computepb.Disk](w, op, err).GetId()
	bind := func(role, kind, id string) *access.AccessBinding {
		return &access.AccessBinding{RoleId: role, Subject: &access.Subject{Type: kind, Id: id}}
	}
	delta := func(action access.AccessBindingAction, b *access.AccessBinding) *access.AccessBindingDelta {
		return &access.AccessBindingDelta{Action: action, AccessBinding: b}
	}
	for _, tt := range []struct {
		name string
		call func() (*opb.Operation, error)
		want []string
	}{
		{"address and name", func() (*opb.Operation, error) {
			return w.images.Create(ctx, &computepb.CreateImageRequest{FolderId: "f", Name: "-", Source: &computepb.CreateImageRequest_Uri{Uri: "ftp://h/f"}})
		}, []string{"name", "uri"}},
		{"empty address", func() (*opb.Operation, error) {
			return w.images.Create(ctx, &computepb.CreateImageRequest{FolderId: "f", Source: &computepb.CreateImageRequest_Uri{}})
		}, []string{"uri"}},
		{"no image and name", func() (*opb.Operation, error) {
			return w.images.Create(ctx, &computepb.CreateImageRequest{FolderId: "f", Name: "-", Source: &computepb.CreateImageRequest_ImageId{}})
		}, []string{"image_id", "name"}},
		{"headers and family", func() (*opb.Operation, error) {
			ctx := w.as("alice", "blockmill-expected-sha256", "x", "blockmill-expected-digest", "y", "idempotency-key", strings.Repeat("k", 200))
			return w.images.Create(ctx, &computepb.CreateImageRequest{FolderId: "f", Family: "x", Source: &computepb.CreateImageRequest_ImageId{ImageId: image}})
		}, []string{"blockmill-expected-digest", "blockmill-expected-sha256", "family", "idempotency-key"}},
		{"image's least size", func() (*opb.Operation, error) {
			return w.images.Update(ctx, &computepb.UpdateImageRequest{ImageId: image, Name: "there", MinDiskSize: 4 << 20})
		}, []string{"min_disk_size"}},
		{"disk smaller than its image", func() (*opb.Operation, error) {
			return w.disks.Create(ctx, &computepb.CreateDiskRequest{
				FolderId: "f", ZoneId: "z", Size: 4 << 20, Source: &computepb.CreateDiskRequest_ImageId{ImageId: image},
			})
		}, []string{"size"}},
		{"disk of no image", func() (*opb.Operation, error) {
			return w.disks.Create(ctx, &computepb.CreateDiskRequest{FolderId: "f", ZoneId: "z", Size: 4 << 20, Source: &computepb.CreateDiskRequest_ImageId{}})
		}, []string{"image_id"}},
		{"disk of no snapshot and name", func() (*opb.Operation, error) {
			return w.disks.Create(ctx, &computepb.CreateDiskRequest{FolderId: "f", Name: "-", ZoneId: "z", Size: 4 << 20, Source: &computepb.CreateDiskRequest_SnapshotId{}})
		}, []string{"name", "snapshot_id"}},
		{"disk that shrinks", func() (*opb.Operation, error) {
			return w.disks.Update(ctx, &computepb.UpdateDiskRequest{DiskId: disk, Name: "there", Size: 4 << 20})
		}, []string{"size"}},
		{"method and size", func() (*opb.Operation, error) {
			ctx := w.as("alice", "blockmill-disk-method", "magic")
			return w.disks.Create(ctx, &computepb.CreateDiskRequest{FolderId: "f", ZoneId: "z", Size: 5})
		}, []string{"blockmill-disk-method", "size", "size"}},
		{"roles and subjects", func() (*opb.Operation, error) {
			return w.images.SetAccessBindings(ctx, &access.SetAccessBindingsRequest{ResourceId: image, AccessBindings: []*access.AccessBinding{
				bind("compute.images.user", "userAccount", "u"), bind("viewer", "federatedUser", "u"), bind("admin", "system", "allUsers"),
				bind("vpc.admin", "group", "u"), bind("viewer", "system", "everyone"), bind("", "", ""),
				bind("compute.disks.admin", "userAccount", "u"),
			}})
		}, []string{
			"access_bindings[3].role_id", "access_bindings[3].subject.type", "access_bindings[4].subject.id",
			"access_bindings[5].role_id", "access_bindings[5].subject.id", "access_bindings[5].subject.type",
			"access_bindings[6].role_id",
		}},
		{"added role", func() (*opb.Operation, error) {
			return w.images.UpdateAccessBindings(ctx, &access.UpdateAccessBindingsRequest{ResourceId: image, AccessBindingDeltas: []*access.AccessBindingDelta{
				delta(access.AccessBindingAction_REMOVE, bind("owner", "group", "u")), delta(access.AccessBindingAction_ADD, bind("owner", "userAccount", "u")),
			}})
		}, []string{"access_binding_deltas[1].access_binding.role_id"}},
	} {
		_, err := tt.call()
		if grpcstatus.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, blamed(err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	_, err = w.images.List(ctx, &computepb.ListImagesRequest{FolderId: "f", PageSize: 1001, Filter: "name ~ 1", OrderBy: "size", PageToken: "x"})
	if diff := cmp.Diff([]string{"filter", "order_by", "page_size", "page_token"}, blamed(err)); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	op, err = w.images.UpdateAccessBindings(ctx, &access.UpdateAccessBindingsRequest{
		ResourceId: image, AccessBindingDeltas: []*access.AccessBindingDelta{delta(access.AccessBindingAction_REMOVE, bind("owner", "group", "u"))},
	})
	if w.wait(op, err).GetError() != nil {
		t.Errorf("a role that means nothing here cannot be removed: %v", op)
	}
}

// TestBadImagesBlameTheirSource makes images of what is none: the operation's error
// blames the field that the source was in.
func TestBadImagesBlameTheirSource(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	broken := guest(64<<10, "QFI\xfb\x00\x00\x00\x09")
	path := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(path, broken, 0o644); err != nil {
		t.Fatal(err)
	}
	local := auth.NewContext(t.Context(), auth.Subject{
		ID: "local", Type: auth.UserAccount, Folders: map[pool.FolderID]auth.Grant{"f": {Role: auth.Editor}},
		UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Local: true,
	})
	uri := func(uri string) (*opb.Operation, error) {
		return w.images.Create(w.as("alice"), &computepb.CreateImageRequest{FolderId: "f", Source: &computepb.CreateImageRequest_Uri{Uri: uri}})
	}
	for _, tt := range []struct {
		name string
		call func() (*opb.Operation, error)
		want []string
	}{
		{"broken at an address", func() (*opb.Operation, error) { return uri(s.put("/broken", broken)) }, []string{"uri"}},
		{"compressed at an address", func() (*opb.Operation, error) { return uri(s.put("/gzip", guest(512, "\x1f\x8b\x08"))) }, []string{"uri"}},
		{"nothing at an address", func() (*opb.Operation, error) { return uri(s.URL + "/nothing") }, nil},
		{"broken in a file", func() (*opb.Operation, error) {
			return w.services.CreateImageFromFile(local, path, &computepb.CreateImageRequest{FolderId: "f"})
		}, []string{"path"}},
	} {
		op, err := tt.call()
		failed := w.wait(op, err).GetError()
		if failed == nil {
			t.Errorf("%s: it was taken", tt.name)
		}
		if diff := cmp.Diff(tt.want, blamed(grpcstatus.ErrorProto(failed))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
