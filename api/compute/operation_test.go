package compute_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/access"
	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/pool"
)

func operationsOf(folder string) operation.Query { return operation.Query{Folder: folder} }

func statusCode(err error) codes.Code { return grpcstatus.Code(err) }

// A repeated request is answered by its operation, whatever has become of what it
// named.
func TestIdempotency(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	req := &computepb.CreateImageRequest{FolderId: "f", Name: "name", Source: &computepb.CreateImageRequest_Uri{Uri: s.put("/raw", guest(4096, "x"))}}
	key := w.as("alice", "idempotency-key", "k1")
	first, err := w.images.Create(key, req)
	img := response[*computepb.Image](w, first, err)
	again := func(what string) {
		t.Helper()
		op, err := w.images.Create(w.as("alice", "idempotency-key", "k1"), req)
		if err != nil || op.GetId() != first.GetId() {
			t.Errorf("%s: %v, %v; want operation %s", what, op, err, first.GetId())
		}
	}
	again("again")
	w.restart()
	again("after a restart")
	_, err = w.images.Create(w.as("alice", "idempotency-key", "k1", "blockmill-expected-digest", fmt.Sprintf("%064d", 0)), req)
	if err != nil {
		t.Logf("the same but for an expectation of nothing: %v", err)
	}
	other := proto.Clone(req).(*computepb.CreateImageRequest)
	other.Name = "other"
	_, err = w.images.Create(w.as("alice", "idempotency-key", "k1"), other)
	refused(t, codes.InvalidArgument, err)
	_, err = w.images.Create(w.as("alice", "idempotency-key", "k2"), req)
	refused(t, codes.AlreadyExists, err)
	_, err = w.images.Create(w.as("root", "idempotency-key", "k1"), req) // another's key
	refused(t, codes.AlreadyExists, err)

	del := &computepb.DeleteImageRequest{ImageId: img.GetId()}
	op, err := w.images.Delete(w.as("alice", "idempotency-key", "k3"), del)
	response[*emptypb.Empty](w, op, err)
	op2, err := w.images.Delete(w.as("alice", "idempotency-key", "k3"), del)
	if err != nil || op2.GetId() != op.GetId() {
		t.Errorf("delete again: %v, %v", op2, err)
	}
	again("after the delete")
	_, err = w.images.Create(w.as("alice", "idempotency-key", string(make([]byte, 0, 1))+longKey()), req)
	refused(t, codes.InvalidArgument, err)
}

func longKey() string { return fmt.Sprintf("%0129d", 0) }

// What is cancelled leaves nothing, wherever it was.
func TestCancelCreate(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("cancel", func(t *testing.T) {
		w, s := newWorld(t), newWeb(t)
		raw := guest(24<<20, "x")
		for i := range raw { // so that there is something to fetch
			raw[i] = byte(i * i >> 9)
		}
		uri := s.put("/raw", raw)
		hold := make(chan struct{})
		s.hold["/raw"] = hold
		defer close(hold)
		ops := map[string]*opb.Operation{}
		for i := range 40 { // more than there are workers: some wait
			name := fmt.Sprintf("n%d", i)
			op, err := w.images.Create(w.as("alice"), &computepb.CreateImageRequest{
				FolderId: "f", Name: name, Source: &computepb.CreateImageRequest_Uri{Uri: uri},
			})
			if err != nil {
				t.Fatal(err)
			}
			ops[name] = op
		}
		list, err := w.images.List(w.as("alice"), &computepb.ListImagesRequest{FolderId: "f"})
		if err != nil || len(list.GetImages()) != 40 {
			t.Fatalf("%d images, %v", len(list.GetImages()), err)
		}
		for _, img := range list.GetImages() {
			if img.GetStatus() != computepb.Image_CREATING || img.GetOs() == nil {
				t.Errorf("being made: %v", img)
			}
		}
		img := list.GetImages()[0]
		_, err = w.images.Delete(w.as("alice"), &computepb.DeleteImageRequest{ImageId: img.GetId()})
		refused(t, codes.FailedPrecondition, err)
		_, err = w.images.Create(w.as("alice"), &computepb.CreateImageRequest{FolderId: "f", Source: &computepb.CreateImageRequest_ImageId{ImageId: img.GetId()}})
		refused(t, codes.FailedPrecondition, err)
		var all sync.WaitGroup
		for _, op := range ops {
			all.Go(func() {
				if _, err := w.operations.Cancel(t.Context(), op.GetId()); err != nil {
					t.Error(err)
				}
				w.fails(codes.Canceled, op, nil)
			})
		}
		all.Wait()
		w.empty("f")
	})
}

// empty says whether nothing is left in a folder, nor in the store.
func (w *world) empty(folder string) {
	w.t.Helper()
	list, err := w.images.List(w.as("root"), &computepb.ListImagesRequest{FolderId: folder})
	if err != nil || len(list.GetImages()) != 0 {
		w.t.Errorf("left: %v, %v", list, err)
	}
	for r, err := range w.store.Records(w.t.Context(), "") {
		w.t.Errorf("record %s %s is left (%v)", r.Kind, r.ID, err)
	}
}

// A create that a restart interrupts goes on after it, under its name and id.
func TestRestart(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	uri := s.put("/raw", guest(24<<20, "x"))
	hold := make(chan struct{})
	s.hold["/raw"] = hold
	op, err := w.images.Create(w.as("alice"), &computepb.CreateImageRequest{
		FolderId: "f", Name: "name", Family: "fam", Source: &computepb.CreateImageRequest_Uri{Uri: uri},
	})
	if err != nil {
		t.Fatal(err)
	}
	meta := new(computepb.CreateImageMetadata)
	if err := op.GetMetadata().UnmarshalTo(meta); err != nil {
		t.Fatal(err)
	}
	w.restart()
	img, err := w.images.Get(w.as("alice"), &computepb.GetImageRequest{ImageId: meta.GetImageId()})
	if err != nil || img.GetStatus() != computepb.Image_CREATING || img.GetName() != "name" {
		t.Errorf("after the restart: %v, %v", img, err)
	}
	_, err = w.images.Create(w.as("alice"), &computepb.CreateImageRequest{FolderId: "f", Name: "name", Source: &computepb.CreateImageRequest_Uri{Uri: uri}})
	refused(t, codes.AlreadyExists, err)
	close(hold)
	img = response[*computepb.Image](w, op, nil)
	if img.GetId() != meta.GetImageId() || img.GetStatus() != computepb.Image_READY || img.GetFamily() != "fam" {
		t.Errorf("at the end: %v", img)
	}
	for r := range w.store.Records(t.Context(), "draft") {
		t.Errorf("draft %s is left", r.ID)
	}
}

// Deletions race creations from the same image: each of the latter ends well or
// says that the source is gone.
func TestDeleteRacesCreate(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	for round := range 20 {
		img := w.image(s, "f", fmt.Sprintf("n%d", round))
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				op, err := w.images.Create(w.as("alice"), &computepb.CreateImageRequest{
					FolderId: "f", Source: &computepb.CreateImageRequest_ImageId{ImageId: img.GetId()},
				})
				code := statusCode(err)
				if err == nil {
					code = codes.Code(w.wait(op, nil).GetError().GetCode())
				}
				if code != codes.OK && code != codes.NotFound && code != codes.FailedPrecondition {
					t.Errorf("create: %v (%v)", code, err)
				}
			})
		}
		all.Go(func() {
			op, err := w.images.Delete(w.as("alice"), &computepb.DeleteImageRequest{ImageId: img.GetId()})
			response[*emptypb.Empty](w, op, err)
		})
		all.Wait()
	}
	for img := range w.node.Images(pool.Query{Folder: "f"}) {
		r, err := w.store.OpenImage(t.Context(), img.Manifest)
		if err != nil {
			t.Errorf("image %s has no bytes: %v", img.ID, err)
			continue
		}
		err = errors.Join(r.Close())
		if err != nil {
			t.Error(err)
		}
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
	policy := []*access.AccessBindingDelta{{Action: access.AccessBindingAction_ADD, AccessBinding: &access.AccessBinding{
		RoleId: "admin", Subject: &access.Subject{Id: "mallory", Type: "userAccount"},
	}}}
	destination := &computepb.ExportDestination{Endpoint: "https://h", Bucket: "b"}
	calls := map[string]struct {
		id   string
		call func(id string) (proto.Message, error)
	}{
		"image get": {img.GetId(), func(id string) (proto.Message, error) {
			return w.images.Get(ctx, &computepb.GetImageRequest{ImageId: id})
		}},
		"image update": {img.GetId(), func(id string) (proto.Message, error) {
			return w.images.Update(ctx, &computepb.UpdateImageRequest{ImageId: id, Name: "one"})
		}},
		"image delete": {img.GetId(), func(id string) (proto.Message, error) {
			return w.images.Delete(ctx, &computepb.DeleteImageRequest{ImageId: id})
		}},
		"image export": {img.GetId(), func(id string) (proto.Message, error) {
			return w.images.Export(ctx, &computepb.ExportImageRequest{ImageId: id, Destination: destination})
		}},
		"snapshot export": {snap.GetId(), func(id string) (proto.Message, error) {
			return w.snapshots.Export(ctx, &computepb.ExportSnapshotRequest{SnapshotId: id, Destination: destination})
		}},
		"image operations": {img.GetId(), func(id string) (proto.Message, error) {
			return w.images.ListOperations(ctx, &computepb.ListImageOperationsRequest{ImageId: id})
		}},
		"image bindings": {img.GetId(), func(id string) (proto.Message, error) {
			return w.images.ListAccessBindings(ctx, &access.ListAccessBindingsRequest{ResourceId: id})
		}},
		"image set bindings": {img.GetId(), func(id string) (proto.Message, error) {
			return w.images.SetAccessBindings(ctx, &access.SetAccessBindingsRequest{ResourceId: id})
		}},
		"image update bindings": {img.GetId(), func(id string) (proto.Message, error) {
			return w.images.UpdateAccessBindings(ctx, &access.UpdateAccessBindingsRequest{ResourceId: id, AccessBindingDeltas: policy})
		}},
		"image of image": {img.GetId(), func(id string) (proto.Message, error) {
			return w.images.Create(ctx, &computepb.CreateImageRequest{FolderId: "m", Source: &computepb.CreateImageRequest_ImageId{ImageId: id}})
		}},
		"image of snapshot": {snap.GetId(), func(id string) (proto.Message, error) {
			return w.images.Create(ctx, &computepb.CreateImageRequest{FolderId: "m", Source: &computepb.CreateImageRequest_SnapshotId{SnapshotId: id}})
		}},
		"image of disk": {disk.GetId(), func(id string) (proto.Message, error) {
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
		"snapshot get": {snap.GetId(), func(id string) (proto.Message, error) {
			return w.snapshots.Get(ctx, &computepb.GetSnapshotRequest{SnapshotId: id})
		}},
		"snapshot update": {snap.GetId(), func(id string) (proto.Message, error) {
			return w.snapshots.Update(ctx, &computepb.UpdateSnapshotRequest{SnapshotId: id, Name: "one"})
		}},
		"snapshot delete": {snap.GetId(), func(id string) (proto.Message, error) {
			return w.snapshots.Delete(ctx, &computepb.DeleteSnapshotRequest{SnapshotId: id})
		}},
		"snapshot operations": {snap.GetId(), func(id string) (proto.Message, error) {
			return w.snapshots.ListOperations(ctx, &computepb.ListSnapshotOperationsRequest{SnapshotId: id})
		}},
		"snapshot bindings": {snap.GetId(), func(id string) (proto.Message, error) {
			return w.snapshots.ListAccessBindings(ctx, &access.ListAccessBindingsRequest{ResourceId: id})
		}},
		"snapshot set bindings": {snap.GetId(), func(id string) (proto.Message, error) {
			return w.snapshots.SetAccessBindings(ctx, &access.SetAccessBindingsRequest{ResourceId: id})
		}},
		"snapshot update binding": {snap.GetId(), func(id string) (proto.Message, error) {
			return w.snapshots.UpdateAccessBindings(ctx, &access.UpdateAccessBindingsRequest{ResourceId: id, AccessBindingDeltas: policy})
		}},
		"snapshot create": {disk.GetId(), func(id string) (proto.Message, error) {
			return w.snapshots.Create(ctx, &computepb.CreateSnapshotRequest{FolderId: "m", DiskId: id})
		}},
		"snapshot create there": {"f", func(id string) (proto.Message, error) {
			return w.snapshots.Create(ctx, &computepb.CreateSnapshotRequest{FolderId: id, DiskId: "d"})
		}},
		"snapshot list": {"f", func(id string) (proto.Message, error) {
			return w.snapshots.List(ctx, &computepb.ListSnapshotsRequest{FolderId: id})
		}},
		"disk get": {disk.GetId(), func(id string) (proto.Message, error) { return w.disks.Get(ctx, &computepb.GetDiskRequest{DiskId: id}) }},
		"disk update": {disk.GetId(), func(id string) (proto.Message, error) {
			return w.disks.Update(ctx, &computepb.UpdateDiskRequest{DiskId: id, Name: "one"})
		}},
		"disk delete": {disk.GetId(), func(id string) (proto.Message, error) {
			return w.disks.Delete(ctx, &computepb.DeleteDiskRequest{DiskId: id})
		}},
		"disk operations": {disk.GetId(), func(id string) (proto.Message, error) {
			return w.disks.ListOperations(ctx, &computepb.ListDiskOperationsRequest{DiskId: id})
		}},
		"disk bindings": {disk.GetId(), func(id string) (proto.Message, error) {
			return w.disks.ListAccessBindings(ctx, &access.ListAccessBindingsRequest{ResourceId: id})
		}},
		"disk set bindings": {disk.GetId(), func(id string) (proto.Message, error) {
			return w.disks.SetAccessBindings(ctx, &access.SetAccessBindingsRequest{ResourceId: id})
		}},
		"disk update bindings": {disk.GetId(), func(id string) (proto.Message, error) {
			return w.disks.UpdateAccessBindings(ctx, &access.UpdateAccessBindingsRequest{ResourceId: id, AccessBindingDeltas: policy})
		}},
		"disk of image": {img.GetId(), func(id string) (proto.Message, error) {
			return w.disks.Create(ctx, &computepb.CreateDiskRequest{FolderId: "m", ZoneId: "z", Size: 4 << 20, Source: &computepb.CreateDiskRequest_ImageId{ImageId: id}})
		}},
		"disk of snapshot": {snap.GetId(), func(id string) (proto.Message, error) {
			return w.disks.Create(ctx, &computepb.CreateDiskRequest{FolderId: "m", ZoneId: "z", Size: 4 << 20, Source: &computepb.CreateDiskRequest_SnapshotId{SnapshotId: id}})
		}},
		"disk create": {"f", func(id string) (proto.Message, error) {
			return w.disks.Create(ctx, &computepb.CreateDiskRequest{FolderId: id, Name: "one", ZoneId: "z", Size: 4 << 20})
		}},
		"disk list": {"f", func(id string) (proto.Message, error) {
			return w.disks.List(ctx, &computepb.ListDisksRequest{FolderId: id})
		}},
		"disk move": {disk.GetId(), func(id string) (proto.Message, error) {
			return w.disks.Move(ctx, &computepb.MoveDiskRequest{DiskId: id})
		}},
		"disk relocate": {disk.GetId(), func(id string) (proto.Message, error) {
			return w.disks.Relocate(ctx, &computepb.RelocateDiskRequest{DiskId: id})
		}},
		"disk schedules": {disk.GetId(), func(id string) (proto.Message, error) {
			return w.disks.ListSnapshotSchedules(ctx, &computepb.ListDiskSnapshotSchedulesRequest{DiskId: id})
		}},
	}
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

// A create of a ready disk is one durable step, that of the disk's record. After
// a crash that took its operation from the database, the operation is found there.
func TestDiskKeepsItsOperation(t *testing.T) {
	w := newWorld(t)
	req := &computepb.CreateDiskRequest{FolderId: "f", ZoneId: "z", TypeId: "network-ssd", Size: 4 << 20}
	create := func() *opb.Operation {
		op, err := w.disks.Create(w.as("alice", "idempotency-key", "k"), req)
		return w.wait(op, err)
	}
	before := create()
	w.stop()
	if err := os.RemoveAll(filepath.Join(w.dir, "badger")); err != nil {
		t.Fatal(err)
	}
	w.start()
	after := create()
	if d := cmp.Diff(before, after, protocmp.Transform(), protocmp.IgnoreFields(after, "modified_at")); d != "" {
		t.Error(d)
	}
	list, err := w.disks.List(w.as("alice"), &computepb.ListDisksRequest{FolderId: "f"})
	if err != nil || len(list.GetDisks()) != 1 {
		t.Errorf("disks: %v, %v", list, err)
	}
}
