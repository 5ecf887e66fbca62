package compute

import (
	"cmp"
	"context"
	"slices"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/protobuf/proto"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/rules"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
)

// defaultBlockSize is what a disk's block size is in bytes when nobody says so.
const defaultBlockSize = 4 << 10

// methodHeader demands the method by which a disk is made.
const methodHeader = "blockmill-disk-method"

// Create makes a disk of an image, of a snapshot, or an empty one.
func (s *diskService) Create(ctx context.Context, req *computepb.CreateDiskRequest) (*opb.Operation, error) {
	method, err := diskMethod(ctx, req)
	return s.submit(ctx, mutation{
		kind: diskCreate, description: "Create disk", folder: req.GetFolderId(), request: req, inline: true, kept: true,
		private: []byte(method), wrong: []error{err, checkDiskSource(req)},
		admit: s.admitNewDisk(ctx, req, method),
	})
}

// admitNewDisk reserves the disk that a request asks for once the caller is
// admitted.
func (c *core) admitNewDisk(ctx context.Context, req *computepb.CreateDiskRequest, method provision.Method) admission {
	return func(op operation.Ticket) (operation.Reservation, error) {
		if err := c.admitNew(ctx, auth.Disks, req); err != nil {
			return operation.Reservation{}, err
		}
		key, _ := idempotencyKey(ctx) // which submit has looked at
		d, err := c.reserveDisk(req, method, madeBy[pool.DiskID](op, key))
		return operation.Reservation{
			ResourceID: string(d.ID), Metadata: &computepb.CreateDiskMetadata{DiskId: string(d.ID)},
			Release: func() { c.node.ReleaseDisk(d.ID) },
		}, err
	}
}

// checkDiskSource refuses a source without an id: an empty disk is one that has none.
func checkDiskSource(req *computepb.CreateDiskRequest) error {
	switch s := req.GetSource().(type) {
	case *computepb.CreateDiskRequest_ImageId:
		return checkSourceID("image_id", s.ImageId)
	case *computepb.CreateDiskRequest_SnapshotId:
		return checkSourceID("snapshot_id", s.SnapshotId)
	}
	return nil
}

// diskMethod is the method that a request demands; empty without one.
func diskMethod(ctx context.Context, req *computepb.CreateDiskRequest) (provision.Method, error) {
	name := header(ctx, methodHeader)
	if name == "" {
		return "", nil
	}
	m := provision.Method(name)
	switch {
	case !slices.Contains(provision.Methods(), m):
		return "", rules.Violation(methodHeader, "Value must be one of %v", provision.Methods())
	case req.GetSource() == nil:
		return "", rules.Violation(methodHeader, "An empty disk is made in one way only")
	}
	return m, nil
}

// reserveDisk lists the disk that a request asks for, as reserveImage does with
// images.
func (c *core) reserveDisk(req *computepb.CreateDiskRequest, method provision.Method, m pool.Meta[pool.DiskID]) (pool.Disk, error) {
	hardware, err := encode(req.GetHardwareGeneration())
	if err != nil {
		return pool.Disk{}, err
	}
	policy, err := encode(req.GetDiskPlacementPolicy())
	if err != nil {
		return pool.Disk{}, err
	}
	describe(&m, req)
	return c.node.ReserveDisk(pool.Disk{
		Meta: m, Heritage: pool.Heritage{HardwareGeneration: hardware}, PlacementPolicy: policy, Method: method,
		Type: req.GetTypeId(), Zone: req.GetZoneId(),
		Size: req.GetSize(), BlockSize: cmp.Or(req.GetBlockSize(), defaultBlockSize),
		Source: pool.Source{Image: pool.ImageID(req.GetImageId()), Snapshot: pool.SnapshotID(req.GetSnapshotId())},
	})
}

// createDisk is the handler of disk.create.
type createDisk struct{ *core }

func (h createDisk) again(op *operation.Running) (pool.Disk, error) {
	req := new(computepb.CreateDiskRequest)
	if err := op.Request(req); err != nil {
		return pool.Disk{}, err
	}
	return h.reserveDisk(req, provision.Method(op.Private()), madeAgain[pool.DiskID](op))
}

// Restore lists the disk again after a restart.
func (h createDisk) Restore(_ context.Context, op *operation.Running) error {
	_, err := h.again(op)
	return err
}

// Abandon leaves nothing of a disk.
func (h createDisk) Abandon(ctx context.Context, op *operation.Running) {
	id := pool.DiskID(op.ResourceID())
	h.node.ReleaseDisk(id)
	if d, err := h.node.Disk(id); err == nil && d.Operation == op.ID() {
		if err := h.node.DeleteDisk(ctx, id); err != nil {
			op.Logger().Error("a disk that is not wanted any more is left over", "disk", id, "reason", err)
		}
	}
}

// Run makes the disk.
func (h createDisk) Run(ctx context.Context, op *operation.Running) (proto.Message, error) {
	d, err := h.again(op)
	if err == nil && d.Status != pool.Ready {
		if isInline(ctx) && !h.node.QuickDisk(d) {
			return nil, operation.ErrQueue
		}
		d, err = h.node.MakeDisk(ctx, d.ID, op.Submission())
	}
	if err != nil {
		return nil, err
	}
	return diskMessage(d), nil
}

// inlineKey marks the contexts of handlers that run in their submitter.
type inlineKey struct{}

func isInline(ctx context.Context) bool { return ctx.Value(inlineKey{}) != nil }
