package compute_test

import (
	"bytes"
	"context"
	"maps"
	"testing"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/access"
	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// foreignCall is a call with the id of a thing.
type foreignCall struct {
	id   string
	call func(id string) (proto.Message, error)
}

var (
	foreignPolicy = []*access.AccessBindingDelta{{Action: access.AccessBindingAction_ADD, AccessBinding: &access.AccessBinding{
		RoleId: "admin", Subject: &access.Subject{Id: "mallory", Type: "userAccount"},
	}}}
	foreignDestination = &computepb.ExportDestination{Endpoint: "https://h", Bucket: "b"}
)

func (w *world) imageCalls(ctx context.Context, img, snap, disk string) map[string]foreignCall {
	return map[string]foreignCall{
		"image get": {img, func(id string) (proto.Message, error) {
			return w.images.Get(ctx, &computepb.GetImageRequest{ImageId: id})
		}},
		"image update": {img, func(id string) (proto.Message, error) {
			return w.images.Update(ctx, &computepb.UpdateImageRequest{ImageId: id, Name: "one"})
		}},
		"image delete": {img, func(id string) (proto.Message, error) {
			return w.images.Delete(ctx, &computepb.DeleteImageRequest{ImageId: id})
		}},
		"image export": {img, func(id string) (proto.Message, error) {
			return w.images.Export(ctx, &computepb.ExportImageRequest{ImageId: id, Destination: foreignDestination})
		}},
		"image operations": {img, func(id string) (proto.Message, error) {
			return w.images.ListOperations(ctx, &computepb.ListImageOperationsRequest{ImageId: id})
		}},
		"image bindings": {img, func(id string) (proto.Message, error) {
			return w.images.ListAccessBindings(ctx, &access.ListAccessBindingsRequest{ResourceId: id})
		}},
		"image set bindings": {img, func(id string) (proto.Message, error) {
			return w.images.SetAccessBindings(ctx, &access.SetAccessBindingsRequest{ResourceId: id})
		}},
		"image update bindings": {img, func(id string) (proto.Message, error) {
			return w.images.UpdateAccessBindings(ctx, &access.UpdateAccessBindingsRequest{ResourceId: id, AccessBindingDeltas: foreignPolicy})
		}},
		"image of image": {img, func(id string) (proto.Message, error) {
			return w.images.Create(ctx, &computepb.CreateImageRequest{FolderId: "m", Source: &computepb.CreateImageRequest_ImageId{ImageId: id}})
		}},
		"image of snapshot": {snap, func(id string) (proto.Message, error) {
			return w.images.Create(ctx, &computepb.CreateImageRequest{FolderId: "m", Source: &computepb.CreateImageRequest_SnapshotId{SnapshotId: id}})
		}},
		"image of disk": {disk, func(id string) (proto.Message, error) {
			return w.images.Create(ctx, &computepb.CreateImageRequest{FolderId: "m", Source: &computepb.CreateImageRequest_DiskId{DiskId: id}})
		}},
		"image create": {"f", func(id string) (proto.Message, error) {
			return w.images.Create(ctx, &computepb.CreateImageRequest{FolderId: id, Name: "one", Source: &computepb.CreateImageRequest_Uri{Uri: "https://h/p"}})
		}},
		"image list": {"f", func(id string) (proto.Message, error) {
			return w.images.List(ctx, &computepb.ListImagesRequest{FolderId: id})
		}},
		"image family": {"f", func(id string) (proto.Message, error) {
			return w.images.GetLatestByFamily(ctx, &computepb.GetImageLatestByFamilyRequest{FolderId: id, Family: "fam"})
		}},
	}
}

func (w *world) snapshotCalls(ctx context.Context, snap, disk string) map[string]foreignCall {
	return map[string]foreignCall{
		"snapshot export": {snap, func(id string) (proto.Message, error) {
			return w.snapshots.Export(ctx, &computepb.ExportSnapshotRequest{SnapshotId: id, Destination: foreignDestination})
		}},
		"snapshot get": {snap, func(id string) (proto.Message, error) {
			return w.snapshots.Get(ctx, &computepb.GetSnapshotRequest{SnapshotId: id})
		}},
		"snapshot update": {snap, func(id string) (proto.Message, error) {
			return w.snapshots.Update(ctx, &computepb.UpdateSnapshotRequest{SnapshotId: id, Name: "one"})
		}},
		"snapshot delete": {snap, func(id string) (proto.Message, error) {
			return w.snapshots.Delete(ctx, &computepb.DeleteSnapshotRequest{SnapshotId: id})
		}},
		"snapshot operations": {snap, func(id string) (proto.Message, error) {
			return w.snapshots.ListOperations(ctx, &computepb.ListSnapshotOperationsRequest{SnapshotId: id})
		}},
		"snapshot bindings": {snap, func(id string) (proto.Message, error) {
			return w.snapshots.ListAccessBindings(ctx, &access.ListAccessBindingsRequest{ResourceId: id})
		}},
		"snapshot set bindings": {snap, func(id string) (proto.Message, error) {
			return w.snapshots.SetAccessBindings(ctx, &access.SetAccessBindingsRequest{ResourceId: id})
		}},
		"snapshot update binding": {snap, func(id string) (proto.Message, error) {
			return w.snapshots.UpdateAccessBindings(ctx, &access.UpdateAccessBindingsRequest{ResourceId: id, AccessBindingDeltas: foreignPolicy})
		}},
		"snapshot create": {disk, func(id string) (proto.Message, error) {
			return w.snapshots.Create(ctx, &computepb.CreateSnapshotRequest{FolderId: "m", DiskId: id})
		}},
		"snapshot create there": {"f", func(id string) (proto.Message, error) {
			return w.snapshots.Create(ctx, &computepb.CreateSnapshotRequest{FolderId: id, DiskId: "d"})
		}},
		"snapshot list": {"f", func(id string) (proto.Message, error) {
			return w.snapshots.List(ctx, &computepb.ListSnapshotsRequest{FolderId: id})
		}},
	}
}

func (w *world) diskCalls(ctx context.Context, img, snap, disk string) map[string]foreignCall {
	return map[string]foreignCall{
		"disk get": {disk, func(id string) (proto.Message, error) { return w.disks.Get(ctx, &computepb.GetDiskRequest{DiskId: id}) }},
		"disk update": {disk, func(id string) (proto.Message, error) {
			return w.disks.Update(ctx, &computepb.UpdateDiskRequest{DiskId: id, Name: "one"})
		}},
		"disk delete": {disk, func(id string) (proto.Message, error) {
			return w.disks.Delete(ctx, &computepb.DeleteDiskRequest{DiskId: id})
		}},
		"disk operations": {disk, func(id string) (proto.Message, error) {
			return w.disks.ListOperations(ctx, &computepb.ListDiskOperationsRequest{DiskId: id})
		}},
		"disk bindings": {disk, func(id string) (proto.Message, error) {
			return w.disks.ListAccessBindings(ctx, &access.ListAccessBindingsRequest{ResourceId: id})
		}},
		"disk set bindings": {disk, func(id string) (proto.Message, error) {
			return w.disks.SetAccessBindings(ctx, &access.SetAccessBindingsRequest{ResourceId: id})
		}},
		"disk update bindings": {disk, func(id string) (proto.Message, error) {
			return w.disks.UpdateAccessBindings(ctx, &access.UpdateAccessBindingsRequest{ResourceId: id, AccessBindingDeltas: foreignPolicy})
		}},
		"disk of image": {img, func(id string) (proto.Message, error) {
			return w.disks.Create(ctx, &computepb.CreateDiskRequest{FolderId: "m", ZoneId: "z", Size: 4 << 20, Source: &computepb.CreateDiskRequest_ImageId{ImageId: id}})
		}},
		"disk of snapshot": {snap, func(id string) (proto.Message, error) {
			return w.disks.Create(ctx, &computepb.CreateDiskRequest{FolderId: "m", ZoneId: "z", Size: 4 << 20, Source: &computepb.CreateDiskRequest_SnapshotId{SnapshotId: id}})
		}},
		"disk create": {"f", func(id string) (proto.Message, error) {
			return w.disks.Create(ctx, &computepb.CreateDiskRequest{FolderId: id, Name: "one", ZoneId: "z", Size: 4 << 20})
		}},
		"disk list": {"f", func(id string) (proto.Message, error) {
			return w.disks.List(ctx, &computepb.ListDisksRequest{FolderId: id})
		}},
		"disk move": {disk, func(id string) (proto.Message, error) {
			return w.disks.Move(ctx, &computepb.MoveDiskRequest{DiskId: id})
		}},
		"disk relocate": {disk, func(id string) (proto.Message, error) {
			return w.disks.Relocate(ctx, &computepb.RelocateDiskRequest{DiskId: id})
		}},
		"disk schedules": {disk, func(id string) (proto.Message, error) {
			return w.disks.ListSnapshotSchedules(ctx, &computepb.ListDiskSnapshotSchedulesRequest{DiskId: id})
		}},
	}
}

// Every call with the id of what the caller may not see is answered byte for byte
// as one with an id that does not exist.
func TestForeign(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	img := w.image(s, "f", "one")
	disk := w.disk("f", "one")
	op, err := w.snapshots.Create(w.as("root"), &computepb.CreateSnapshotRequest{FolderId: "f", DiskId: disk.GetId(), Name: "one"})
	snap := response[*computepb.Snapshot](w, op, err)
	ctx := w.as("mallory")
	calls := w.imageCalls(ctx, img.GetId(), snap.GetId(), disk.GetId())
	maps.Copy(calls, w.snapshotCalls(ctx, snap.GetId(), disk.GetId()))
	maps.Copy(calls, w.diskCalls(ctx, img.GetId(), snap.GetId(), disk.GetId()))
	for name, tt := range calls {
		// The same call twice: while the thing exists and, as it were, when it
		// does not: the ids differ, so they are made alike in the answers.
		answer := func(id string) string {
			_, err := tt.call(id)
			p, merr := proto.MarshalOptions{Deterministic: true}.Marshal(grpcstatus.Convert(err).Proto())
			if merr != nil {
				t.Fatal(merr)
			}
			return string(p)
		}
		unknown := make([]byte, len(tt.id))
		for i := range unknown {
			unknown[i] = 'q'
		}
		foreign, none := answer(tt.id), answer(string(unknown))
		if want := replace(none, string(unknown), tt.id); foreign != want {
			t.Errorf("%s: foreign %q, unknown %q", name, foreign, none)
		}
		if foreign == answer("") && name != "disk move" && name != "disk relocate" && name != "disk schedules" {
			t.Errorf("%s: the id does not matter", name)
		}
	}
}

func replace(text, old, now string) string {
	return string(bytes.ReplaceAll([]byte(text), []byte(old), []byte(now)))
}
