package compute

import (
	"context"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/protobuf/proto"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/pool"
)

// Create makes a snapshot of a disk.
func (s *snapshotService) Create(ctx context.Context, req *computepb.CreateSnapshotRequest) (*opb.Operation, error) {
	return s.submit(ctx, mutation{
		kind: snapshotCreate, description: "Create snapshot", folder: req.GetFolderId(), request: req,
		admit: s.admitNewSnapshot(ctx, req),
	})
}

// admitNewSnapshot reserves the snapshot that an editor of a folder asks for, of a
// disk that he may use.
func (c *core) admitNewSnapshot(ctx context.Context, req *computepb.CreateSnapshotRequest) admission {
	return func(op operation.Ticket) (operation.Reservation, error) {
		err := allowFolder(ctx, req.GetFolderId(), auth.Editor, auth.Snapshots)
		if err == nil {
			_, err = c.disks.find(ctx, req.GetDiskId(), auth.User)
		}
		if err != nil {
			return operation.Reservation{}, err
		}
		key, _ := idempotencyKey(ctx) // which submit has looked at
		v, err := c.reserveSnapshot(req, madeBy[pool.SnapshotID](op, key))
		return operation.Reservation{
			ResourceID: string(v.ID), Metadata: &computepb.CreateSnapshotMetadata{SnapshotId: string(v.ID), DiskId: req.GetDiskId()},
			Release: func() { c.node.ReleaseSnapshot(v.ID) },
		}, err
	}
}

// reserveSnapshot lists the snapshot that a request asks for, as reserveImage does
// with images.
func (c *core) reserveSnapshot(req *computepb.CreateSnapshotRequest, m pool.Meta[pool.SnapshotID]) (pool.Snapshot, error) {
	hardware, err := encode(req.GetHardwareGeneration())
	if err != nil {
		return pool.Snapshot{}, err
	}
	describe(&m, req)
	return c.node.ReserveSnapshot(pool.Snapshot{
		Meta: m, Heritage: pool.Heritage{HardwareGeneration: hardware}, SourceDisk: pool.DiskID(req.GetDiskId()),
	})
}

// createSnapshot is the handler of snapshot.create.
type createSnapshot struct{ *core }

func (h createSnapshot) again(op *operation.Running) (pool.Snapshot, error) {
	req := new(computepb.CreateSnapshotRequest)
	if err := op.Request(req); err != nil {
		return pool.Snapshot{}, err
	}
	return h.reserveSnapshot(req, madeAgain[pool.SnapshotID](op))
}

// Restore lists the snapshot again after a restart.
func (h createSnapshot) Restore(_ context.Context, op *operation.Running) error {
	_, err := h.again(op)
	return err
}

// Abandon leaves nothing of a snapshot.
func (h createSnapshot) Abandon(ctx context.Context, op *operation.Running) {
	id := pool.SnapshotID(op.ResourceID())
	h.node.ReleaseSnapshot(id)
	if v, err := h.node.Snapshot(id); err == nil && v.Operation == op.ID() {
		if err := h.node.DeleteSnapshot(ctx, id); err != nil {
			op.Logger().Error("a snapshot that is not wanted any more is left over", "snapshot", id, "reason", err)
		}
	}
}

// Run makes the snapshot.
func (h createSnapshot) Run(ctx context.Context, op *operation.Running) (proto.Message, error) {
	v, err := h.again(op)
	if err == nil && v.Status != pool.Ready {
		v, err = h.node.MakeSnapshot(ctx, v.ID, op.Progress)
	}
	if err != nil {
		return nil, err
	}
	return snapshotMessage(v), nil
}
