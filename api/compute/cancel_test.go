package compute_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/blockmill/blockmill/blockio/blockiotest/leak"
	"github.com/blockmill/blockmill/blockio/cas"
)

// Cancelled at whatever moment, a create ends one way or the other: the thing is
// there, whole, or nothing of it is.
func TestCancelAtAnyMoment(t *testing.T) {
	defer leak.Check(t)()
	t.Run("cancel", func(t *testing.T) {
		w, s := newWorld(t), newWeb(t)
		uri := s.put("/raw", noise(9<<20))
		_, err := w.images.Create(w.as("alice"), &computepb.CreateImageRequest{FolderId: "b", Source: &computepb.CreateImageRequest_Uri{Uri: uri}})
		refused(t, codes.NotFound, err) // not her folder
		op, err := w.images.Create(w.as("root"), &computepb.CreateImageRequest{FolderId: "b", Source: &computepb.CreateImageRequest_Uri{Uri: uri}})
		base := response[*computepb.Image](w, op, err)
		op, err = w.disks.Create(w.as("root"), &computepb.CreateDiskRequest{
			FolderId: "b", ZoneId: "z", Size: 12 << 20, Source: &computepb.CreateDiskRequest_ImageId{ImageId: base.GetId()},
		})
		disk := response[*computepb.Disk](w, op, err)

		creates := map[string]func() (*opb.Operation, error){
			"image of a URL": func() (*opb.Operation, error) {
				return w.images.Create(w.as("root"), &computepb.CreateImageRequest{FolderId: "f", Source: &computepb.CreateImageRequest_Uri{Uri: uri}})
			},
			"image of a disk": func() (*opb.Operation, error) {
				return w.images.Create(w.as("root"), &computepb.CreateImageRequest{FolderId: "f", Source: &computepb.CreateImageRequest_DiskId{DiskId: disk.GetId()}})
			},
			"snapshot": func() (*opb.Operation, error) {
				return w.snapshots.Create(w.as("root"), &computepb.CreateSnapshotRequest{FolderId: "f", DiskId: disk.GetId()})
			},
		}
		ends := map[string]int{}
		for round := range 25 {
			for name, create := range creates {
				op, err := create()
				if err != nil {
					t.Fatal(err)
				}
				timer := time.NewTimer(time.Duration(rand.IntN(30*1000)) * time.Microsecond)
				<-timer.C // any moment
				if _, err := w.operations.Cancel(t.Context(), op.GetId()); err != nil {
					t.Fatal(err)
				}
				done := w.wait(op, nil)
				code := codes.Code(done.GetError().GetCode())
				if code != codes.OK && code != codes.Canceled {
					t.Errorf("round %d, %s: %v", round, name, done.GetError())
				}
				ends[fmt.Sprint(name, " ", code)]++
				w.either(done)
			}
		}
		t.Log(ends)
		w.clear("f")
		if _, err := w.store.GC(t.Context(), cas.GCOptions{}); err != nil {
			t.Fatal(err)
		}
		for r := range w.store.Records(t.Context(), "draft") {
			t.Errorf("draft %s is left", r.ID)
		}
		// What they were made of is as it was.
		op, err = w.images.Create(w.as("root"), &computepb.CreateImageRequest{FolderId: "f", Source: &computepb.CreateImageRequest_DiskId{DiskId: disk.GetId()}})
		response[*computepb.Image](w, op, err)
	})
}

// either says whether what an operation made is there exactly when it says so.
func (w *world) either(op *opb.Operation) {
	w.t.Helper()
	m, err := op.GetMetadata().UnmarshalNew()
	if err != nil {
		w.t.Fatal(err)
	}
	var status fmt.Stringer
	switch m := m.(type) {
	case *computepb.CreateImageMetadata:
		img, e := w.images.Get(w.as("root"), &computepb.GetImageRequest{ImageId: m.GetImageId()})
		status, err = img.GetStatus(), e
	case *computepb.CreateSnapshotMetadata:
		snap, e := w.snapshots.Get(w.as("root"), &computepb.GetSnapshotRequest{SnapshotId: m.GetSnapshotId()})
		status, err = snap.GetStatus(), e
	}
	if op.GetError() != nil {
		refused(w.t.(*testing.T), codes.NotFound, err)
	} else if err != nil || status.String() != "READY" {
		w.t.Errorf("done, and %v, %v", status, err)
	}
}

// clear deletes all images and snapshots of a folder, side by side.
func (w *world) clear(folder string) {
	w.t.Helper()
	images, err := w.images.List(w.as("root"), &computepb.ListImagesRequest{FolderId: folder})
	if err != nil {
		w.t.Fatal(err)
	}
	snapshots, err := w.snapshots.List(w.as("root"), &computepb.ListSnapshotsRequest{FolderId: folder})
	if err != nil {
		w.t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, img := range images.GetImages() {
		all.Go(func() {
			op, err := w.images.Delete(w.as("root"), &computepb.DeleteImageRequest{ImageId: img.GetId()})
			response[*emptypb.Empty](w, op, err)
		})
	}
	for _, snap := range snapshots.GetSnapshots() {
		all.Go(func() {
			op, err := w.snapshots.Delete(w.as("root"), &computepb.DeleteSnapshotRequest{SnapshotId: snap.GetId()})
			response[*emptypb.Empty](w, op, err)
		})
	}
	all.Wait()
}
