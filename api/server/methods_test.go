package server_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/access"
	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/endpoint"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/blockmillpb"
)

// things are what calls are about. In is the folder that something is made in.
type things struct{ folder, in, image, disk, snapshot, operation, endpoint string }

// need is a role that a call needs on one of the things.
type need struct {
	on   string // "folder", "in", "image", "disk", "snapshot", "operation", "node"
	role auth.Role
}

// call is a request that some may make.
type call struct {
	method string
	needs  []need
	// audited says that the log is to tell of it.
	audited bool
	// answer is that to those who may.
	answer  codes.Code
	request func(things) proto.Message
	// deletes says that the thing is gone afterwards.
	deletes bool
}

const (
	imageService     = "yandex.cloud.compute.v1.ImageService/"
	diskService      = "yandex.cloud.compute.v1.DiskService/"
	snapshotService  = "yandex.cloud.compute.v1.SnapshotService/"
	operationService = "yandex.cloud.operation.OperationService/"
	endpointService  = "yandex.cloud.endpoint.ApiEndpointService/"
	own              = "blockmill.v1."
)

func reads(method, on string, request func(things) proto.Message) call {
	return call{method: method, needs: []need{{on, auth.Viewer}}, request: request}
}

func changes(method, on string, role auth.Role, request func(things) proto.Message) call {
	return call{method: method, needs: []need{{on, role}}, audited: true, request: request}
}

func deletes(method, on string, request func(things) proto.Message) call {
	c := changes(method, on, auth.Editor, request)
	c.deletes = true
	return c
}

// makes is a call that makes something in a folder, of something unless that is
// empty.
func makes(method, of string, request func(things) proto.Message) call {
	c := changes(method, "in", auth.Editor, request)
	if of != "" {
		c.needs = append(c.needs, need{of, auth.User})
	}
	return c
}

// calls are all methods of the API, each with every kind of thing that it takes.
func calls() []call {
	all := slices.Concat(imageCalls(), diskCalls(), snapshotCalls(), ownCalls())
	for _, on := range []string{"image", "disk", "snapshot"} {
		all = append(all, accessCalls(on, kindService[on])...)
	}
	return append(all,
		reads(operationService+"Get", "operation", func(t things) proto.Message { return &opb.GetOperationRequest{OperationId: t.operation} }),
		changes(operationService+"Cancel", "operation", auth.Editor, func(t things) proto.Message {
			return &opb.CancelOperationRequest{OperationId: t.operation}
		}),
		call{method: endpointService + "List", request: func(things) proto.Message { return &endpoint.ListApiEndpointsRequest{} }},
		call{method: endpointService + "Get", request: func(t things) proto.Message {
			return &endpoint.GetApiEndpointRequest{ApiEndpointId: t.endpoint}
		}},
	)
}

var onlyLabels = &fieldmaskpb.FieldMask{Paths: []string{"labels"}}

func imageCalls() []call {
	create := func(of func(things, *computepb.CreateImageRequest)) func(things) proto.Message {
		return func(t things) proto.Message {
			req := &computepb.CreateImageRequest{FolderId: t.in}
			of(t, req)
			return req
		}
	}
	return []call{
		reads(imageService+"Get", "image", func(t things) proto.Message { return &computepb.GetImageRequest{ImageId: t.image} }),
		reads(imageService+"List", "folder", func(t things) proto.Message { return &computepb.ListImagesRequest{FolderId: t.folder} }),
		{method: imageService + "GetLatestByFamily", needs: []need{{"image", auth.Viewer}}, request: func(t things) proto.Message {
			return &computepb.GetImageLatestByFamilyRequest{FolderId: t.folder, Family: "family"}
		}},
		reads(imageService+"ListOperations", "image", func(t things) proto.Message {
			return &computepb.ListImageOperationsRequest{ImageId: t.image}
		}),
		makes(imageService+"Create", "", create(func(_ things, r *computepb.CreateImageRequest) {
			r.Source = &computepb.CreateImageRequest_Uri{Uri: "https://127.0.0.1/"}
		})),
		makes(imageService+"Create", "image", create(func(t things, r *computepb.CreateImageRequest) {
			r.Source = &computepb.CreateImageRequest_ImageId{ImageId: t.image}
		})),
		makes(imageService+"Create", "snapshot", create(func(t things, r *computepb.CreateImageRequest) {
			r.Source = &computepb.CreateImageRequest_SnapshotId{SnapshotId: t.snapshot}
		})),
		makes(imageService+"Create", "disk", create(func(t things, r *computepb.CreateImageRequest) {
			r.Source = &computepb.CreateImageRequest_DiskId{DiskId: t.disk}
		})),
		changes(imageService+"Update", "image", auth.Editor, func(t things) proto.Message {
			return &computepb.UpdateImageRequest{ImageId: t.image, UpdateMask: onlyLabels}
		}),
		deletes(imageService+"Delete", "image", func(t things) proto.Message { return &computepb.DeleteImageRequest{ImageId: t.image} }),
		changes(imageService+"Export", "image", auth.User, func(t things) proto.Message {
			return &computepb.ExportImageRequest{ImageId: t.image, Destination: nowhereToExport, Credentials: noKeys}
		}),
	}
}

var (
	nowhereToExport = &computepb.ExportDestination{Endpoint: "https://127.0.0.1", Bucket: "bucket"}
	noKeys          = &computepb.ExportS3Credentials{AccessKeyId: "key", SecretAccessKey: "secret"}
)

func diskCalls() []call {
	create := func(of func(things, *computepb.CreateDiskRequest)) func(things) proto.Message {
		return func(t things) proto.Message {
			req := &computepb.CreateDiskRequest{FolderId: t.in, ZoneId: "z", Size: 4 << 20}
			of(t, req)
			return req
		}
	}
	unserved := func(method string, request func(things) proto.Message) call {
		return call{method: diskService + method, answer: codes.Unimplemented, request: request, audited: !strings.HasPrefix(method, "List")}
	}
	return []call{
		reads(diskService+"Get", "disk", func(t things) proto.Message { return &computepb.GetDiskRequest{DiskId: t.disk} }),
		reads(diskService+"List", "folder", func(t things) proto.Message { return &computepb.ListDisksRequest{FolderId: t.folder} }),
		reads(diskService+"ListOperations", "disk", func(t things) proto.Message {
			return &computepb.ListDiskOperationsRequest{DiskId: t.disk}
		}),
		makes(diskService+"Create", "", create(func(things, *computepb.CreateDiskRequest) {})),
		makes(diskService+"Create", "image", create(func(t things, r *computepb.CreateDiskRequest) {
			r.Source = &computepb.CreateDiskRequest_ImageId{ImageId: t.image}
		})),
		makes(diskService+"Create", "snapshot", create(func(t things, r *computepb.CreateDiskRequest) {
			r.Source = &computepb.CreateDiskRequest_SnapshotId{SnapshotId: t.snapshot}
		})),
		changes(diskService+"Update", "disk", auth.Editor, func(t things) proto.Message {
			return &computepb.UpdateDiskRequest{DiskId: t.disk, UpdateMask: onlyLabels}
		}),
		deletes(diskService+"Delete", "disk", func(t things) proto.Message { return &computepb.DeleteDiskRequest{DiskId: t.disk} }),
		unserved("Move", func(t things) proto.Message {
			return &computepb.MoveDiskRequest{DiskId: t.disk, DestinationFolderId: t.in}
		}),
		unserved("Relocate", func(t things) proto.Message { return &computepb.RelocateDiskRequest{DiskId: t.disk} }),
		unserved("ListSnapshotSchedules", func(t things) proto.Message {
			return &computepb.ListDiskSnapshotSchedulesRequest{DiskId: t.disk}
		}),
	}
}

func snapshotCalls() []call {
	return []call{
		reads(snapshotService+"Get", "snapshot", func(t things) proto.Message {
			return &computepb.GetSnapshotRequest{SnapshotId: t.snapshot}
		}),
		reads(snapshotService+"List", "folder", func(t things) proto.Message {
			return &computepb.ListSnapshotsRequest{FolderId: t.folder}
		}),
		reads(snapshotService+"ListOperations", "snapshot", func(t things) proto.Message {
			return &computepb.ListSnapshotOperationsRequest{SnapshotId: t.snapshot}
		}),
		makes(snapshotService+"Create", "disk", func(t things) proto.Message {
			return &computepb.CreateSnapshotRequest{FolderId: t.in, DiskId: t.disk}
		}),
		changes(snapshotService+"Update", "snapshot", auth.Editor, func(t things) proto.Message {
			return &computepb.UpdateSnapshotRequest{SnapshotId: t.snapshot, UpdateMask: onlyLabels}
		}),
		deletes(snapshotService+"Delete", "snapshot", func(t things) proto.Message {
			return &computepb.DeleteSnapshotRequest{SnapshotId: t.snapshot}
		}),
		changes(snapshotService+"Export", "snapshot", auth.User, func(t things) proto.Message {
			return &computepb.ExportSnapshotRequest{SnapshotId: t.snapshot, Destination: nowhereToExport, Credentials: noKeys}
		}),
	}
}

func accessCalls(on, service string) []call {
	id := func(t things) string {
		return map[string]string{"image": t.image, "disk": t.disk, "snapshot": t.snapshot}[on]
	}
	return []call{
		reads(service+"ListAccessBindings", on, func(t things) proto.Message {
			return &access.ListAccessBindingsRequest{ResourceId: id(t)}
		}),
		changes(service+"SetAccessBindings", on, auth.Admin, func(t things) proto.Message {
			return &access.SetAccessBindingsRequest{ResourceId: id(t), AccessBindings: bindings(auth.Kind(on))}
		}),
		changes(service+"UpdateAccessBindings", on, auth.Admin, func(t things) proto.Message {
			return &access.UpdateAccessBindingsRequest{ResourceId: id(t), AccessBindingDeltas: []*access.AccessBindingDelta{
				{Action: access.AccessBindingAction_REMOVE, AccessBinding: binding("admin", "userAccount", "nobody")},
			}}
		}),
	}
}

func ownCalls() []call {
	operator := []need{{"node", auth.Admin}}
	return []call{
		reads(own+"OperationService/Watch", "operation", func(t things) proto.Message {
			return &blockmillpb.WatchRequest{OperationId: t.operation}
		}),
		reads(own+"OperationService/List", "folder", func(t things) proto.Message {
			return &blockmillpb.ListOperationsRequest{FolderId: t.folder}
		}),
		// Nobody calls at the local socket here.
		{method: own + "ImageService/CreateFromFile", audited: true, answer: codes.PermissionDenied, request: func(t things) proto.Message {
			image, err := anypb.New(&computepb.CreateImageRequest{FolderId: t.in})
			if err != nil {
				panic(err)
			}
			return &blockmillpb.CreateFromFileRequest{Path: "/etc/passwd", Image: image}
		}},
		changes(own+"DiskService/Attach", "disk", auth.User, func(t things) proto.Message {
			return &blockmillpb.AttachRequest{DiskId: t.disk}
		}),
		reads(own+"PoolService/List", "folder", func(t things) proto.Message {
			return &blockmillpb.ListPoolsRequest{FolderId: t.folder}
		}),
		reads(own+"PoolService/Get", "image", func(t things) proto.Message {
			return &blockmillpb.GetPoolRequest{ImageId: t.image}
		}),
		changes(own+"PoolService/Set", "image", auth.Editor, func(t things) proto.Message {
			return &blockmillpb.SetPoolRequest{ImageId: t.image, Max: proto.Int64(1)}
		}),
		{method: own + "NodeService/Stat", needs: operator, request: func(things) proto.Message { return &blockmillpb.StatRequest{} }},
		{method: own + "NodeService/Events", needs: operator, request: func(things) proto.Message { return &blockmillpb.EventsRequest{} }},
		{method: own + "NodeService/Scrub", needs: operator, audited: true, request: func(things) proto.Message { return &blockmillpb.ScrubRequest{} }},
		{method: own + "NodeService/CollectGarbage", needs: operator, audited: true, request: func(things) proto.Message {
			return &blockmillpb.CollectGarbageRequest{}
		}},
	}
}

// others are fields that end as ids do and name nothing that is here.
var others = []string{"zone_id", "type_id", "kms_key_id", "destination_zone_id"}

// TestEveryMethodIsCalled holds the table of calls against what is served: each
// method is there, with every id that its request takes.
func TestEveryMethodIsCalled(t *testing.T) {
	h := newHouse(t)
	filled := make(map[string]map[protoreflect.Name]bool)
	for _, c := range calls() {
		if filled[c.method] == nil {
			filled[c.method] = make(map[protoreflect.Name]bool)
		}
		c.request(h.things).ProtoReflect().Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			filled[c.method][f.Name()] = true
			return true
		})
	}
	count := 0
	for _, m := range h.methods() {
		count++
		method := string(m.Parent().FullName()) + "/" + string(m.Name())
		if filled[method] == nil {
			t.Errorf("%s is not in the table", method)
		}
		fields := m.Input().Fields()
		for i := range fields.Len() {
			name := fields.Get(i).Name()
			if strings.HasSuffix(string(name), "_id") && !filled[method][name] && !slices.Contains(others, string(name)) {
				t.Errorf("no call of %s has the field %s", method, name)
			}
		}
	}
	if count != len(filled) || count == 0 {
		t.Errorf("%d methods are served, and %d in the table", count, len(filled))
	}
}
