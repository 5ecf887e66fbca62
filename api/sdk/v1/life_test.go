// Package v1 holds the test of version 1 of the Go SDK against the daemon.
package v1

import (
	"testing"
	"time"

	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	ycsdk "github.com/yandex-cloud/go-sdk"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"

	"github.com/blockmill/blockmill/api/sdk/launch"
)

const folder = "default"

func connect(t *testing.T) *ycsdk.SDK {
	t.Helper()
	sdk, err := ycsdk.Build(t.Context(), ycsdk.Config{
		Credentials: ycsdk.NewIAMTokenCredentials("t1.any.token"), Endpoint: launch.Start(t).GRPC, Plaintext: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sdk.Shutdown(t.Context()) }) // the daemon ends anyway
	return sdk
}

// end waits for an operation as the SDK's users do, and gives its response.
func end[T any](t *testing.T, sdk *ycsdk.SDK, op *operation.Operation, err error) T {
	t.Helper()
	o, err := sdk.WrapOperation(op, err)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Metadata(); err != nil {
		t.Fatalf("metadata of the first answer: %v", err)
	}
	if err := o.WaitInterval(t.Context(), 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	r, err := o.Response()
	if err != nil {
		t.Fatal(err)
	}
	got, ok := r.(T)
	if !ok {
		t.Fatalf("response is a %T", r)
	}
	return got
}

func TestLifeOfAnImage(t *testing.T) {
	sdk := connect(t)
	ctx, images := t.Context(), sdk.Compute().Image()

	op, err := images.Create(ctx, &compute.CreateImageRequest{
		FolderId: folder, Name: "first", Family: "line", Labels: map[string]string{"a": "b"},
		Source: &compute.CreateImageRequest_Uri{Uri: launch.Serve(t)},
		Os:     &compute.Os{Type: compute.Os_LINUX},
	})
	first := end[*compute.Image](t, sdk, op, err)
	if first.Status != compute.Image_READY || first.MinDiskSize < launch.Size || first.Os.GetType() != compute.Os_LINUX {
		t.Errorf("created image %v", first)
	}

	got, err := images.Get(ctx, &compute.GetImageRequest{ImageId: first.Id})
	if err != nil || got.Name != "first" || got.Labels["a"] != "b" {
		t.Errorf("get: %v, %v", got, err)
	}
	named, err := images.ImageIterator(ctx, &compute.ListImagesRequest{FolderId: folder, Filter: `name = "first"`}).TakeAll()
	if err != nil || len(named) != 1 || named[0].Id != first.Id {
		t.Errorf("list by name: %v, %v", named, err)
	}

	op, err = images.Create(ctx, &compute.CreateImageRequest{
		FolderId: folder, Name: "second", Family: "line", Source: &compute.CreateImageRequest_ImageId{ImageId: first.Id},
	})
	second := end[*compute.Image](t, sdk, op, err)
	if second.Os.GetType() != compute.Os_LINUX {
		t.Errorf("the copy did not inherit its os: %v", second)
	}
	latest, err := images.GetLatestByFamily(ctx, &compute.GetImageLatestByFamilyRequest{FolderId: folder, Family: "line"})
	if err != nil || latest.Id != second.Id {
		t.Errorf("latest of the family: %v, %v", latest, err)
	}

	op, err = images.Update(ctx, &compute.UpdateImageRequest{
		ImageId: first.Id, Description: "changed", UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}},
	})
	if changed := end[*compute.Image](t, sdk, op, err); changed.Description != "changed" || changed.Name != "first" {
		t.Errorf("updated image %v", changed)
	}

	for _, id := range []string{first.Id, second.Id} {
		op, err := images.Delete(ctx, &compute.DeleteImageRequest{ImageId: id})
		o, err := sdk.WrapOperation(op, err)
		if err == nil {
			err = o.WaitInterval(ctx, 10*time.Millisecond)
		}
		if err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	if _, err := images.Get(ctx, &compute.GetImageRequest{ImageId: first.Id}); status.Code(err) != codes.NotFound {
		t.Errorf("get a deleted image: %v", err)
	}
}

func TestCancel(t *testing.T) {
	sdk := connect(t)
	ctx, images := t.Context(), sdk.Compute().Image()
	op, err := images.Create(ctx, &compute.CreateImageRequest{
		FolderId: folder, Name: "never", Source: &compute.CreateImageRequest_Uri{Uri: launch.ServeSlowly(t)},
	})
	o, err := sdk.WrapOperation(op, err)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Cancel(ctx); err != nil {
		t.Fatal(err)
	}
	if err := o.WaitInterval(ctx, 10*time.Millisecond); status.Code(err) != codes.Canceled {
		t.Errorf("a cancelled create ends with %v", err)
	}
	left, err := images.List(ctx, &compute.ListImagesRequest{FolderId: folder})
	if err != nil || len(left.Images) != 0 {
		t.Errorf("after a cancelled create: %v, %v", left, err)
	}
}
