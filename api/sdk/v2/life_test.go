// Package v2 holds the test of version 2 of the Go SDK against the daemon: its
// core, with the stubs of the public protocol.
package v2

import (
	"context"
	"testing"
	"time"

	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	ycsdk "github.com/yandex-cloud/go-sdk/v2"
	"github.com/yandex-cloud/go-sdk/v2/credentials"
	"github.com/yandex-cloud/go-sdk/v2/pkg/endpoints"
	sdkop "github.com/yandex-cloud/go-sdk/v2/pkg/operation"
	"github.com/yandex-cloud/go-sdk/v2/pkg/options"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/blockmill/blockmill/api/sdk/launch"
)

const folder = "default"

// client is what the generated services of the SDK are made of.
type client struct {
	images     compute.ImageServiceClient
	operations operation.OperationServiceClient
}

func connect(t *testing.T) client {
	t.Helper()
	sdk, err := ycsdk.Build(t.Context(),
		options.WithCredentials(credentials.IAMToken("t1.any.token")),
		options.WithPlaintext(),
		options.WithEndpointsResolver(endpoints.NewSingleEndpointResolver(launch.Start(t).GRPC,
			grpc.WithTransportCredentials(insecure.NewCredentials()))))
	if err != nil {
		t.Fatal(err)
	}
	conn := func(method protoreflect.FullName) grpc.ClientConnInterface {
		c, err := sdk.GetConnection(t.Context(), method)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	return client{
		compute.NewImageServiceClient(conn("yandex.cloud.compute.v1.ImageService.Create")),
		operation.NewOperationServiceClient(conn("yandex.cloud.operation.OperationService.Get")),
	}
}

// end waits for an operation with the SDK's own code, which takes metadata and
// response of exactly the declared types.
func (c client) end(t *testing.T, op *operation.Operation, err error, metadata, response proto.Message) (proto.Message, error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	o, err := sdkop.NewOperation(op, &sdkop.Concretization{
		Poll: func(ctx context.Context, id string, opts ...grpc.CallOption) (sdkop.YCOperation, error) {
			return c.operations.Get(ctx, &operation.GetOperationRequest{OperationId: id}, opts...)
		},
		MetadataType: metadata, ResponseType: response,
	})
	if err != nil {
		t.Fatal(err)
	}
	if o.Metadata() == nil {
		t.Fatal("the first answer has no metadata")
	}
	return o.WaitInterval(t.Context(), func(int) time.Duration { return 10 * time.Millisecond })
}

func (c client) create(t *testing.T, req *compute.CreateImageRequest) *compute.Image {
	t.Helper()
	req.FolderId = folder
	op, err := c.images.Create(t.Context(), req)
	r, err := c.end(t, op, err, (*compute.CreateImageMetadata)(nil), (*compute.Image)(nil))
	if err != nil {
		t.Fatal(err)
	}
	return r.(*compute.Image)
}

func TestLifeOfAnImage(t *testing.T) {
	c := connect(t)
	ctx := t.Context()
	first := c.create(t, &compute.CreateImageRequest{
		Name: "first", Family: "line", Source: &compute.CreateImageRequest_Uri{Uri: launch.Serve(t)},
	})
	if first.Os == nil || first.Status != compute.Image_READY {
		t.Errorf("created image %v", first)
	}
	list, err := c.images.List(ctx, &compute.ListImagesRequest{FolderId: folder, Filter: `name = "first"`})
	if err != nil || len(list.Images) != 1 || list.Images[0].Id != first.Id {
		t.Errorf("list by name: %v, %v", list, err)
	}
	second := c.create(t, &compute.CreateImageRequest{
		Name: "second", Family: "line", Source: &compute.CreateImageRequest_ImageId{ImageId: first.Id},
	})
	latest, err := c.images.GetLatestByFamily(ctx, &compute.GetImageLatestByFamilyRequest{FolderId: folder, Family: "line"})
	if err != nil || latest.Id != second.Id {
		t.Errorf("latest of the family: %v, %v", latest, err)
	}
	op, err := c.images.Update(ctx, &compute.UpdateImageRequest{ImageId: first.Id, Name: "renamed", Description: "all is set"})
	r, err := c.end(t, op, err, (*compute.UpdateImageMetadata)(nil), (*compute.Image)(nil))
	if err != nil || r.(*compute.Image).Name != "renamed" || len(r.(*compute.Image).Labels) != 0 {
		t.Errorf("updated image %v, %v", r, err)
	}
	for _, id := range []string{first.Id, second.Id} {
		op, err := c.images.Delete(ctx, &compute.DeleteImageRequest{ImageId: id})
		if _, err := c.end(t, op, err, (*compute.DeleteImageMetadata)(nil), (*emptypb.Empty)(nil)); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	if _, err := c.images.Get(ctx, &compute.GetImageRequest{ImageId: first.Id}); status.Code(err) != codes.NotFound {
		t.Errorf("get a deleted image: %v", err)
	}
}

func TestCancel(t *testing.T) {
	c := connect(t)
	op, err := c.images.Create(t.Context(), &compute.CreateImageRequest{
		FolderId: folder, Name: "never", Source: &compute.CreateImageRequest_Uri{Uri: launch.ServeSlowly(t)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.operations.Cancel(t.Context(), &operation.CancelOperationRequest{OperationId: op.Id}); err != nil {
		t.Fatal(err)
	}
	_, err = c.end(t, op, nil, (*compute.CreateImageMetadata)(nil), (*compute.Image)(nil))
	if status.Code(err) != codes.Canceled {
		t.Errorf("a cancelled create ends with %v", err)
	}
}
