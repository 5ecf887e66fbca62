package compute_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/blockio/blockiotest/leak"
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
	defer leak.Check(t)()
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
	get := &computepb.GetImageRequest{ImageId: meta.GetImageId()}
	before := must[*computepb.Image](t)(w.images.Get(w.as("alice"), get))
	w.restart()
	img, err := w.images.Get(w.as("alice"), get)
	if err != nil || img.GetStatus() != computepb.Image_CREATING || img.GetName() != "name" {
		t.Errorf("after the restart: %v, %v", img, err)
	}
	if diff := cmp.Diff(before, img, protocmp.Transform()); diff != "" {
		t.Errorf("before and after the restart:\n%s", diff)
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

// What an operation makes is as old as the operation, whether it was reserved by the
// request or again after a restart.
func TestCreatedAt(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	same := func(op *opb.Operation, got *timestamppb.Timestamp) {
		t.Helper()
		if want := op.GetCreatedAt().AsTime().Truncate(time.Microsecond); !got.AsTime().Equal(want) {
			t.Errorf("%s at %v, it was made at %v", op.GetDescription(), want, got.AsTime())
		}
	}
	op, err := w.images.Create(w.as("alice"), &computepb.CreateImageRequest{
		FolderId: "f", Source: &computepb.CreateImageRequest_Uri{Uri: s.put("/raw", guest(64<<10, "x"))},
	})
	same(op, response[*computepb.Image](w, op, err).GetCreatedAt())
	op, err = w.disks.Create(w.as("alice"), &computepb.CreateDiskRequest{FolderId: "f", ZoneId: "z", Size: 4 << 20})
	disk := response[*computepb.Disk](w, op, err)
	same(op, disk.GetCreatedAt())
	op, err = w.snapshots.Create(w.as("alice"), &computepb.CreateSnapshotRequest{FolderId: "f", DiskId: disk.GetId()})
	same(op, response[*computepb.Snapshot](w, op, err).GetCreatedAt())
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
