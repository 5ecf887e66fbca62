package compute

import (
	"context"
	"fmt"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/protobuf/proto"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/rules"
	"github.com/blockmill/blockmill/pool"
)

// Update changes what is known of a disk, and lets it grow.
func (s *diskService) Update(ctx context.Context, req *computepb.UpdateDiskRequest) (*opb.Operation, error) {
	return s.submit(ctx, mutation{
		kind: diskUpdate, description: "Update disk", folder: s.disks.folderOf(req.GetDiskId()), request: req, inline: true,
		admit: s.admitDiskUpdate(ctx, req),
	})
}

// admitDiskUpdate lets an editor of a disk change it, and never make it smaller.
func (c *core) admitDiskUpdate(ctx context.Context, req *computepb.UpdateDiskRequest) admission {
	return func(operation.Ticket) (operation.Reservation, error) {
		id := req.GetDiskId()
		d, err := c.disks.find(ctx, id, auth.Editor)
		if err == nil {
			err = c.node.CheckDisk(pool.DiskID(id), pool.DiskEdit{Edit: edit(req)})
		}
		if size := newSize(req); err == nil && size != 0 && size < d.Size {
			err = rules.Violation("size", "A disk cannot shrink: it has %d bytes", d.Size)
		}
		return operation.Reservation{ResourceID: id, Metadata: &computepb.UpdateDiskMetadata{DiskId: id}}, err
	}
}

// newSize is the size that an update asks for, 0 when it stays.
func newSize(req *computepb.UpdateDiskRequest) int64 {
	if size := masked(req.GetUpdateMask(), "size", req.GetSize()); size != nil {
		return *size
	}
	return 0
}

func (c *core) runUpdateDisk(ctx context.Context, op *operation.Running) (proto.Message, error) {
	req := new(computepb.UpdateDiskRequest)
	if err := op.Request(req); err != nil {
		return nil, err
	}
	e, err := diskEdit(req)
	if err != nil {
		return nil, err
	}
	id := pool.DiskID(req.GetDiskId())
	d, err := c.node.Disk(id)
	if size := newSize(req); err == nil && size > d.Size {
		_, err = c.node.GrowDisk(ctx, id, size)
	}
	if err == nil {
		d, err = c.node.UpdateDisk(ctx, id, e)
	}
	if err != nil {
		return nil, err
	}
	return diskMessage(d), nil
}

// diskEdit is an update but for the size.
func diskEdit(req *computepb.UpdateDiskRequest) (pool.DiskEdit, error) {
	e := pool.DiskEdit{Edit: edit(req)}
	policy := masked(req.GetUpdateMask(), "disk_placement_policy", req.GetDiskPlacementPolicy())
	if policy == nil {
		return e, nil
	}
	p, err := encode(*policy)
	if err != nil {
		return e, fmt.Errorf("keep placement policy: %w", err)
	}
	e.PlacementPolicy = &p
	return e, nil
}

// Delete removes a disk.
func (s *diskService) Delete(ctx context.Context, req *computepb.DeleteDiskRequest) (*opb.Operation, error) {
	id := req.GetDiskId()
	return s.submit(ctx, mutation{
		kind: diskDelete, description: "Delete disk", folder: s.disks.folderOf(id), request: req, inline: true,
		admit: admitEdit(ctx, s.disks, id, pool.Edit{}, &computepb.DeleteDiskMetadata{DiskId: id}),
	})
}
