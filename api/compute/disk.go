package compute

import (
	"context"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/access"
	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/rules"
	"github.com/blockmill/blockmill/pool"
)

// The kinds of operations on disks.
const (
	diskCreate = "disk.create"
	diskUpdate = "disk.update"
	diskDelete = "disk.delete"
)

// diskService is yandex.cloud.compute.v1.DiskService.
type diskService struct {
	computepb.UnimplementedDiskServiceServer
	*core
}

func diskKind(n *pool.Node) *kind[pool.Disk] {
	return &kind[pool.Disk]{
		name:  "disk",
		get:   func(id string) (pool.Disk, error) { return n.Disk(pool.DiskID(id)) },
		list:  n.Disks,
		check: func(id string, e pool.Edit) error { return n.CheckDisk(pool.DiskID(id), pool.DiskEdit{Edit: e}) },
		edit: func(ctx context.Context, id string, e pool.Edit) (pool.Disk, error) {
			return n.UpdateDisk(ctx, pool.DiskID(id), pool.DiskEdit{Edit: e})
		},
		thing: func(d *pool.Disk) thing { return thingOf(&d.Meta) },
		fields: map[string]func(*pool.Disk) string{
			"type_id":            func(d *pool.Disk) string { return d.Type },
			"zone_id":            func(d *pool.Disk) string { return d.Zone },
			"source_image_id":    func(d *pool.Disk) string { return string(d.Source.Image) },
			"source_snapshot_id": func(d *pool.Disk) string { return string(d.Source.Snapshot) },
		},
	}
}

// diskHandlers are those of the operations on disks.
func (c *core) diskHandlers(handlers map[string]operation.Handler) {
	handlers[diskCreate] = createDisk{c}
	handlers[diskUpdate] = operation.HandlerFunc(c.runUpdateDisk)
	handlers[diskDelete] = deletion(func(ctx context.Context, id string) error {
		return c.node.DeleteDisk(ctx, pool.DiskID(id))
	})
	accessHandlers(c.disks, handlers)
}

// Get gives a disk.
func (s *diskService) Get(ctx context.Context, req *computepb.GetDiskRequest) (*computepb.Disk, error) {
	if err := rules.Check(req); err != nil {
		return nil, err
	}
	d, err := s.disks.find(ctx, req.GetDiskId(), auth.Viewer)
	if err != nil {
		return nil, err
	}
	return diskMessage(d), nil
}

// List gives a page of a folder's disks.
func (s *diskService) List(ctx context.Context, req *computepb.ListDisksRequest) (*computepb.ListDisksResponse, error) {
	page, next, err := s.disks.page(ctx, req.GetFolderId(), req)
	if err != nil {
		return nil, err
	}
	answer := &computepb.ListDisksResponse{NextPageToken: next, Disks: make([]*computepb.Disk, len(page))}
	for i, d := range page {
		answer.Disks[i] = diskMessage(d)
	}
	return answer, nil
}

// ListOperations gives a page of a disk's operations, the newest first.
func (s *diskService) ListOperations(ctx context.Context, req *computepb.ListDiskOperationsRequest) (*computepb.ListDiskOperationsResponse, error) {
	page, next, err := history(ctx, s.core, s.disks, req.GetDiskId(), req)
	if err != nil {
		return nil, err
	}
	return &computepb.ListDiskOperationsResponse{Operations: page, NextPageToken: next}, nil
}

// ListAccessBindings gives a page of a disk's access bindings.
func (s *diskService) ListAccessBindings(ctx context.Context, req *access.ListAccessBindingsRequest) (*access.ListAccessBindingsResponse, error) {
	return listBindings(ctx, s.disks, req)
}

// SetAccessBindings replaces a disk's access bindings.
func (s *diskService) SetAccessBindings(ctx context.Context, req *access.SetAccessBindingsRequest) (*opb.Operation, error) {
	return setBindings(ctx, s.core, s.disks, req)
}

// UpdateAccessBindings adds and removes access bindings of a disk.
func (s *diskService) UpdateAccessBindings(ctx context.Context, req *access.UpdateAccessBindingsRequest) (*opb.Operation, error) {
	return updateBindings(ctx, s.core, s.disks, req)
}

// Move is not done here.
func (s *diskService) Move(context.Context, *computepb.MoveDiskRequest) (*opb.Operation, error) {
	return nil, grpcstatus.Error(codes.Unimplemented, "a disk stays in the folder that it was made in")
}

// Relocate is not done here.
func (s *diskService) Relocate(context.Context, *computepb.RelocateDiskRequest) (*opb.Operation, error) {
	return nil, grpcstatus.Error(codes.Unimplemented, "a disk stays on the node that it was made on, which is in no other zone")
}

// ListSnapshotSchedules is not done here.
func (s *diskService) ListSnapshotSchedules(context.Context, *computepb.ListDiskSnapshotSchedulesRequest) (*computepb.ListDiskSnapshotSchedulesResponse, error) {
	return nil, grpcstatus.Error(codes.Unimplemented, "this node has no snapshot schedules")
}
