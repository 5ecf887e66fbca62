package compute_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/pool"
)

// From an image to a disk, to a snapshot, to images and disks again: the bytes
// stay the same, and what is inherited is.
func TestDiskLife(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	hardware := &computepb.HardwareGeneration{Features: &computepb.HardwareGeneration_LegacyFeatures{
		LegacyFeatures: &computepb.LegacyHardwareFeatures{PciTopology: computepb.PCITopology_PCI_TOPOLOGY_V2},
	}}
	op, err := w.images.Create(w.as("alice"), &computepb.CreateImageRequest{
		FolderId: "f", Name: "base", ProductIds: []string{"p1"}, Os: &computepb.Os{Type: computepb.Os_WINDOWS}, HardwareGeneration: hardware,
		Source: &computepb.CreateImageRequest_Uri{Uri: s.put("/base", noise(8<<20))},
	})
	img := response[*computepb.Image](w, op, err)

	policy := &computepb.DiskPlacementPolicy{PlacementGroupId: "g", PlacementGroupPartition: 2}
	op, err = w.disks.Create(w.as("alice"), &computepb.CreateDiskRequest{
		FolderId: "f", Name: "disk", Description: "d", Labels: map[string]string{"a": "b"}, TypeId: "network-ssd", ZoneId: "z",
		Size: 12 << 20, Source: &computepb.CreateDiskRequest_ImageId{ImageId: img.GetId()}, DiskPlacementPolicy: policy,
	})
	disk := response[*computepb.Disk](w, op, err)
	want := &computepb.Disk{
		Id: disk.GetId(), FolderId: "f", CreatedAt: disk.GetCreatedAt(), Name: "disk", Description: "d", Labels: map[string]string{"a": "b"},
		TypeId: "network-ssd", ZoneId: "z", Size: 12 << 20, BlockSize: 4096, ProductIds: []string{"p1"}, Status: computepb.Disk_READY,
		Source: &computepb.Disk_SourceImageId{SourceImageId: img.GetId()}, DiskPlacementPolicy: policy, HardwareGeneration: hardware,
	}
	if diff := cmp.Diff(want, disk, protocmp.Transform()); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	list, err := w.disks.List(w.as("alice"), &computepb.ListDisksRequest{FolderId: "f", Filter: `typeId = "network-ssd" AND zone_id = "z"`})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]*computepb.Disk{want}, list.GetDisks(), protocmp.Transform()); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}

	// It grows, and does not shrink; the rest changes by mask.
	update := func(req *computepb.UpdateDiskRequest, paths ...string) (*opb.Operation, error) {
		req.DiskId, req.UpdateMask = disk.GetId(), &fieldmaskpb.FieldMask{Paths: paths}
		return w.disks.Update(w.as("alice"), req)
	}
	op, err = update(&computepb.UpdateDiskRequest{Size: 16 << 20}, "size")
	want.Size = 16 << 20
	if diff := cmp.Diff(want, response[*computepb.Disk](w, op, err), protocmp.Transform()); diff != "" {
		t.Errorf("grown (-want +got):\n%s", diff)
	}
	_, err = update(&computepb.UpdateDiskRequest{Size: 12 << 20}, "size")
	refused(t, codes.InvalidArgument, err)
	op, err = update(&computepb.UpdateDiskRequest{Name: "renamed"}, "name", "disk_placement_policy")
	want.Name, want.DiskPlacementPolicy = "renamed", &computepb.DiskPlacementPolicy{}
	if diff := cmp.Diff(want, response[*computepb.Disk](w, op, err), protocmp.Transform()); diff != "" {
		t.Errorf("updated (-want +got):\n%s", diff)
	}

	// The image goes, the disk stays.
	op, err = w.images.Delete(w.as("alice"), &computepb.DeleteImageRequest{ImageId: img.GetId()})
	response[*emptypb.Empty](w, op, err)

	op, err = w.snapshots.Create(w.as("alice"), &computepb.CreateSnapshotRequest{
		FolderId: "f", DiskId: disk.GetId(), Name: "snap", Description: "s", Labels: map[string]string{"c": "d"},
	})
	meta := new(computepb.CreateSnapshotMetadata)
	if err == nil {
		if err := op.GetMetadata().UnmarshalTo(meta); err != nil || meta.GetDiskId() != disk.GetId() || meta.GetSnapshotId() == "" {
			t.Errorf("metadata %v, %v", meta, err)
		}
	}
	snap := response[*computepb.Snapshot](w, op, err)
	wantSnap := &computepb.Snapshot{
		Id: meta.GetSnapshotId(), FolderId: "f", CreatedAt: snap.GetCreatedAt(), Name: "snap", Description: "s", Labels: map[string]string{"c": "d"},
		StorageSize: img.GetStorageSize(), DiskSize: 16 << 20, ProductIds: []string{"p1"}, Status: computepb.Snapshot_READY,
		SourceDiskId: disk.GetId(), HardwareGeneration: hardware,
	}
	if diff := cmp.Diff(wantSnap, snap, protocmp.Transform()); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
	snaps, err := w.snapshots.List(w.as("alice"), &computepb.ListSnapshotsRequest{FolderId: "f", Filter: `source_disk_id = "` + disk.GetId() + `"`})
	if err != nil || len(snaps.GetSnapshots()) != 1 {
		t.Errorf("snapshots of the disk: %v, %v", snaps, err)
	}

	w.wantSameImages(disk.GetId(), snap.GetId())
	op, err = w.disks.Create(w.as("alice"), &computepb.CreateDiskRequest{
		FolderId: "f", ZoneId: "z", Size: 16 << 20, Source: &computepb.CreateDiskRequest_SnapshotId{SnapshotId: snap.GetId()}, BlockSize: 8192,
	})
	again := response[*computepb.Disk](w, op, err)
	if again.GetSourceSnapshotId() != snap.GetId() || again.GetBlockSize() != 8192 {
		t.Errorf("disk of the snapshot: %v", again)
	}

	op, err = w.snapshots.Update(w.as("alice"), &computepb.UpdateSnapshotRequest{SnapshotId: snap.GetId(), Name: "other"})
	wantSnap.Name, wantSnap.Description, wantSnap.Labels = "other", "", nil
	if diff := cmp.Diff(wantSnap, response[*computepb.Snapshot](w, op, err), protocmp.Transform()); diff != "" {
		t.Errorf("updated snapshot (-want +got):\n%s", diff)
	}
	op, err = w.snapshots.Delete(w.as("alice"), &computepb.DeleteSnapshotRequest{SnapshotId: snap.GetId()})
	response[*emptypb.Empty](w, op, err)
	for _, id := range []string{disk.GetId(), again.GetId()} {
		op, err = w.disks.Delete(w.as("alice"), &computepb.DeleteDiskRequest{DiskId: id})
		response[*emptypb.Empty](w, op, err)
	}
	if list, err = w.disks.List(w.as("alice"), &computepb.ListDisksRequest{FolderId: "f"}); err != nil || len(list.GetDisks()) != 0 {
		t.Errorf("left: %v, %v", list, err)
	}
	_, err = w.disks.ListOperations(w.as("alice"), &computepb.ListDiskOperationsRequest{DiskId: disk.GetId()})
	refused(t, codes.NotFound, err)
}

// wantSameImages makes images of a disk and of its snapshot: they are the same.
func (w *world) wantSameImages(disk, snap string) {
	w.t.Helper()
	create := func(req *computepb.CreateImageRequest) *computepb.Image {
		w.t.Helper()
		req.FolderId = "f"
		op, err := w.images.Create(w.as("alice"), req)
		return response[*computepb.Image](w, op, err)
	}
	ofDisk := create(&computepb.CreateImageRequest{Source: &computepb.CreateImageRequest_DiskId{DiskId: disk}})
	ofSnapshot := create(&computepb.CreateImageRequest{Source: &computepb.CreateImageRequest_SnapshotId{SnapshotId: snap}})
	for name, got := range map[string]*computepb.Image{"disk": ofDisk, "snapshot": ofSnapshot} {
		if got.GetOs().GetType() != computepb.Os_WINDOWS || got.GetSize() != 16<<20 || got.GetMinDiskSize() != 16<<20 || len(got.GetProductIds()) != 1 {
			w.t.Errorf("image of the %s: %v", name, got)
		}
	}
	a, errA := w.node.Image(pool.ImageID(ofDisk.GetId()))
	b, errB := w.node.Image(pool.ImageID(ofSnapshot.GetId()))
	if errA != nil || errB != nil || a.Digest != b.Digest {
		w.t.Errorf("digests %v and %v (%v, %v)", a.Digest, b.Digest, errA, errB)
	}
}

func TestDiskRefusals(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	op, err := w.images.Create(w.as("alice"), &computepb.CreateImageRequest{
		FolderId: "f", Source: &computepb.CreateImageRequest_Uri{Uri: s.put("/large", guest(8<<20, "x"))},
	})
	img := response[*computepb.Image](w, op, err)
	_, err = w.disks.Create(w.as("alice"), &computepb.CreateDiskRequest{
		FolderId: "f", ZoneId: "z", Size: 4 << 20, Source: &computepb.CreateDiskRequest_ImageId{ImageId: img.GetId()},
	})
	refused(t, codes.InvalidArgument, err)
	w.disk("f", "one")
	_, err = w.disks.Create(w.as("alice"), &computepb.CreateDiskRequest{FolderId: "f", Name: "one", ZoneId: "z", Size: 4 << 20})
	refused(t, codes.AlreadyExists, err)
	for name, call := range map[string]func() error{
		"move":     func() error { _, err := w.disks.Move(w.as("alice"), &computepb.MoveDiskRequest{}); return err },
		"relocate": func() error { _, err := w.disks.Relocate(w.as("alice"), &computepb.RelocateDiskRequest{}); return err },
		"schedules": func() error {
			_, err := w.disks.ListSnapshotSchedules(w.as("alice"), &computepb.ListDiskSnapshotSchedulesRequest{})
			return err
		},
	} {
		if text := refused(t, codes.Unimplemented, call()); len(text) < 20 {
			t.Errorf("%s: %q is no sentence", name, text)
		}
	}
}

// TestDisksBeyondTheirFileSystem asks for disks that no file there can hold.
func TestDisksBeyondTheirFileSystem(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	image, disk := w.image(s, "f", "image").GetId(), w.disk("f", "small").GetId()
	const most = 2 << 30
	blockiotest.LimitFiles(t, most)
	large := int64(most + 4<<20)
	create := func(req *computepb.CreateDiskRequest, headers ...string) func() (*opb.Operation, error) {
		req.FolderId, req.ZoneId, req.Size = "f", "z", large
		return func() (*opb.Operation, error) { return w.disks.Create(w.as("alice", headers...), req) }
	}
	ofImage := &computepb.CreateDiskRequest_ImageId{ImageId: image}
	for name, call := range map[string]func() (*opb.Operation, error){
		"empty":  create(&computepb.CreateDiskRequest{}),
		"a copy": create(&computepb.CreateDiskRequest{Source: ofImage}, "blockmill-disk-method", "copy"),
		"a growth": func() (*opb.Operation, error) {
			return w.disks.Update(w.as("alice"), &computepb.UpdateDiskRequest{
				DiskId: disk, Size: large, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"size"}},
			})
		},
	} {
		op, err := call()
		text := w.fails(codes.FailedPrecondition, op, err)
		failed := w.wait(op, err).GetError()
		if !slices.Equal(blamed(grpcstatus.ErrorProto(failed)), []string{"size"}) ||
			!strings.Contains(text, fmt.Sprintf("%d bytes: the disk directory's file system holds no file", large)) || strings.Contains(text, w.disksDir) {
			t.Errorf("%s: %v", name, failed)
		}
	}
	list, err := w.disks.List(w.as("alice"), &computepb.ListDisksRequest{FolderId: "f"})
	if err != nil || len(list.GetDisks()) != 1 || list.GetDisks()[0].GetSize() != 4<<20 {
		t.Errorf("disks: %v, %v", list, err)
	}
	// Where no method is demanded, one that has no such file will do.
	op, err := create(&computepb.CreateDiskRequest{Source: ofImage})()
	response[*computepb.Disk](w, op, err)
}
