package web_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/api/web"
)

// nodeService, images, pools and operations answer as the API's services do,
// for the folders "default" and "other"; a third is hidden.
type nodeService struct{ err error }

func (n nodeService) Stat(context.Context, *blockmillpb.StatRequest) (*blockmillpb.NodeStat, error) {
	return &blockmillpb.NodeStat{
		Version: "1.2.3", Disks: 4, LogicalBytes: 80, DataBytes: 40, UniqueBytes: 20, StoredBytes: 10, Chunks: 3,
		DataShards: 2, ParityShards: 2, LastScrub: timestamppb.New(noon),
		Shards: []*blockmillpb.Shard{
			{Index: 0, State: "ok", UsedBytes: 5, FreeBytes: 95},
			{Index: 1, State: "missing", Reason: "no such directory"},
			{Index: 2, State: "ok"},
			{Index: 3, State: "ok"},
		},
	}, n.err
}

type imageService struct{}

func (imageService) List(_ context.Context, r *compute.ListImagesRequest) (*compute.ListImagesResponse, error) {
	switch r.FolderId {
	case "hidden":
		return nil, status.Error(codes.NotFound, "folder hidden")
	case "broken":
		return nil, status.Error(codes.Internal, "records cannot be read")
	}
	return &compute.ListImagesResponse{Images: []*compute.Image{
		{Id: r.FolderId + "1", Name: "old", FolderId: r.FolderId, Status: compute.Image_READY, CreatedAt: timestamppb.New(noon), Pooled: true},
		{Id: r.FolderId + "2", Name: "new", FolderId: r.FolderId, Status: compute.Image_CREATING, CreatedAt: timestamppb.New(noon.Add(time.Hour))},
	}}, nil
}

type poolService struct{}

func (poolService) List(_ context.Context, r *blockmillpb.ListPoolsRequest) (*blockmillpb.ListPoolsResponse, error) {
	return &blockmillpb.ListPoolsResponse{Pools: []*blockmillpb.Pool{{ImageId: r.FolderId + "1", Ready: 3, Target: 4, Waiting: 1, Method: "reflink", Hits: 9}}}, nil
}

type operationService struct{ t *testing.T }

func (o operationService) List(_ context.Context, r *blockmillpb.ListOperationsRequest) (*blockmillpb.ListOperationsResponse, error) {
	if r.FolderId != "default" {
		return nil, status.Error(codes.PermissionDenied, "no")
	}
	pack := func(m proto.Message) *anypb.Any {
		p, err := anypb.New(m)
		if err != nil {
			o.t.Fatal(err)
		}
		return p
	}
	return &blockmillpb.ListOperationsResponse{Operations: []*anypb.Any{
		pack(&operation.Operation{Id: "op1", Done: true, CreatedAt: timestamppb.New(noon.Add(time.Hour)), Result: &operation.Operation_Error{
			Error: &rpcstatus.Status{Code: int32(codes.Canceled), Message: "cancelled"},
		}}),
		pack(&operation.Operation{Id: "op2", Description: "Create disk", CreatedAt: timestamppb.New(noon), Metadata: pack(&compute.CreateDiskMetadata{DiskId: "disk1"})}),
		pack(&operation.Operation{Id: "op3", Done: true, CreatedAt: timestamppb.New(noon), Result: &operation.Operation_Error{
			Error: &rpcstatus.Status{Code: int32(codes.DataLoss), Message: "bad"},
		}}),
	}}, nil
}

func (o operationService) Watch(r *blockmillpb.WatchRequest, s blockmillpb.OperationService_WatchServer) error {
	if r.OperationId != "op2" {
		o.t.Errorf("operation %s is watched, which has ended", r.OperationId)
	}
	for s.Context().Err() == nil {
		if err := s.Send(&blockmillpb.Progress{DoneBytes: 7, TotalBytes: 10}); err != nil {
			return err
		}
	}
	return s.Context().Err()
}

func services(t *testing.T) *web.Services {
	t.Helper()
	return &web.Services{
		Name: "node-7", StartedAt: noon, Warnings: func() []string { return []string{"careful"} },
		Folders: func() []string { return []string{"default", "hidden", "other"} },
		Node:    nodeService{}, Images: imageService{}, Pools: poolService{}, Operations: operationService{t},
		Clock: func() time.Time { return noon.Add(time.Minute) },
	}
}

func TestServices(t *testing.T) {
	got, err := services(t).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	image := func(id, name, folder, status string, pooled bool, made time.Time) web.Image {
		return web.Image{ID: id, Name: name, Folder: folder, Status: status, Pooled: pooled, CreatedAt: made}
	}
	scrubbed := noon
	want := web.Status{
		Node:    web.Node{Name: "node-7", Version: "1.2.3", StartedAt: noon, Now: noon.Add(time.Minute), Warnings: []string{"careful"}},
		Savings: web.Savings{VirtualBytes: 80, DataBytes: 40, UniqueBytes: 20, StoredBytes: 10, Chunks: 3},
		Redundancy: web.Redundancy{Data: 2, Parity: 2, Survives: 1, LastScrub: &scrubbed, Shards: []web.Shard{
			{Index: 0, State: "ok", OK: true, Bytes: 5, SizeBytes: 100, FreeBytes: 95},
			{Index: 1, State: "missing", Error: "no such directory"},
			{Index: 2, State: "ok", OK: true},
			{Index: 3, State: "ok", OK: true},
		}},
		Disks: web.Disks{Count: 4},
		Images: []web.Image{
			image("default2", "new", "default", "CREATING", false, noon.Add(time.Hour)),
			image("other2", "new", "other", "CREATING", false, noon.Add(time.Hour)),
			image("default1", "old", "default", "READY", true, noon),
			image("other1", "old", "other", "READY", true, noon),
		},
		Pools: []web.Pool{
			{ImageID: "default1", ImageName: "old", Method: "reflink", Ready: 3, Target: 4, Waiting: 1, Hits: 9},
			{ImageID: "other1", ImageName: "old", Method: "reflink", Ready: 3, Target: 4, Waiting: 1, Hits: 9},
		},
		Operations: []web.Operation{
			{ID: "op2", Description: "Create disk", ResourceID: "disk1", State: "running", Done: 7, Total: 10, CreatedAt: noon, ModifiedAt: time.Unix(0, 0).UTC()},
			{ID: "op1", State: "cancelled", CreatedAt: noon.Add(time.Hour), ModifiedAt: time.Unix(0, 0).UTC()},
			{ID: "op3", State: "failed", Error: "bad", CreatedAt: noon, ModifiedAt: time.Unix(0, 0).UTC()},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestServicesRefuse(t *testing.T) {
	tests := []struct {
		name    string
		err     error
		folders []string
		code    int // 0: no web.Error
	}{
		{"unknown", status.Error(codes.Unauthenticated, "who"), nil, http.StatusUnauthorized},
		{"forbidden", status.Error(codes.PermissionDenied, "no"), nil, http.StatusForbidden},
		{"failing", status.Error(codes.Internal, "disk"), nil, 0},
		{"failing folder", nil, []string{"broken"}, 0},
	}
	for _, tt := range tests {
		s := services(t)
		s.Node, s.Folders = nodeService{tt.err}, func() []string { return tt.folders }
		_, err := s.Status(t.Context())
		refused, ok := errors.AsType[*web.Error](err)
		if err == nil || ok != (tt.code != 0) || ok && refused.Code != tt.code {
			t.Errorf("%s: error %v, want code %d", tt.name, err, tt.code)
		}
	}
}
