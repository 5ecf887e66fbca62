package compute

import (
	"context"
	"errors"
	"time"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/protobuf/proto"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/status"
	"github.com/blockmill/blockmill/pool"
)

// Create makes an image of another, of a snapshot, of a disk, or of a file behind
// a URL.
func (s *imageService) Create(ctx context.Context, req *computepb.CreateImageRequest) (*opb.Operation, error) {
	_, file := req.GetSource().(*computepb.CreateImageRequest_Uri)
	expected, err := expectationOf(ctx, file)
	return s.submit(ctx, mutation{
		kind: imageCreate, description: "Create image", folder: req.GetFolderId(), request: req,
		private: expected.encode(), secret: signed(req.GetUri()), wrong: []error{err, checkSource(req)},
		inline: req.GetImageId() != "" || req.GetSnapshotId() != "", // no bytes are moved
		admit:  s.admitNewImage(ctx, req, s.admitImage),
	})
}

// admitNewImage reserves the image that a request asks for once the caller is
// admitted.
func (c *core) admitNewImage(ctx context.Context, req *computepb.CreateImageRequest, admit func(context.Context, *computepb.CreateImageRequest) error) admission {
	return func(op operation.Ticket) (operation.Reservation, error) {
		if err := admit(ctx, req); err != nil {
			return operation.Reservation{}, err
		}
		key, _ := idempotencyKey(ctx) // which submit has looked at
		img, err := c.reserveImage(req, madeBy[pool.ImageID](op, key))
		return operation.Reservation{
			ResourceID: string(img.ID), Metadata: &computepb.CreateImageMetadata{ImageId: string(img.ID)},
			Release: func() { c.node.ReleaseImage(img.ID) },
		}, err
	}
}

// admitImage lets an editor of a folder make an image there of what he may use.
func (c *core) admitImage(ctx context.Context, req *computepb.CreateImageRequest) error {
	err := c.admitNew(ctx, auth.Images, req)
	if err == nil && req.GetDiskId() != "" {
		_, err = c.disks.find(ctx, req.GetDiskId(), auth.User)
	}
	return err
}

// reserveImage lists the image that a request asks for. The meta says which
// operation makes it, and more when it was reserved before.
func (c *core) reserveImage(req *computepb.CreateImageRequest, m pool.Meta[pool.ImageID]) (pool.Image, error) {
	hardware, err := encode(req.GetHardwareGeneration())
	if err != nil {
		return pool.Image{}, err
	}
	describe(&m, req)
	return c.node.ReserveImage(pool.Image{
		Meta:     m,
		Heritage: pool.Heritage{ProductIDs: req.GetProductIds(), OS: osOf(req.GetOs()), HardwareGeneration: hardware},
		Family:   req.GetFamily(), MinDiskSize: req.GetMinDiskSize(), Pooled: req.GetPooled(),
		Source: pool.Source{
			Image: pool.ImageID(req.GetImageId()), Snapshot: pool.SnapshotID(req.GetSnapshotId()),
			Disk: pool.DiskID(req.GetDiskId()), URI: redacted(req.GetUri()),
		},
	})
}

// createImage is the handler of image.create.
type createImage struct{ *core }

// again reserves the image of an operation, or finds it: reserved, or made before
// a crash.
func (h createImage) again(op *operation.Running) (pool.Image, *computepb.CreateImageRequest, error) {
	req := new(computepb.CreateImageRequest)
	if err := op.Request(req); err != nil {
		return pool.Image{}, nil, err
	}
	img, err := h.reserveImage(req, madeAgain[pool.ImageID](op))
	return img, req, err
}

// madeBy is what is known of the thing that an operation is to make, which the
// request of a key asks for.
func madeBy[I ~string](op operation.Ticket, key string) pool.Meta[I] {
	return pool.Meta[I]{Operation: op.ID, IdempotencyKey: key, CreatedAt: op.CreatedAt.UTC().Truncate(time.Microsecond)}
}

// madeAgain is the same of a thing that was reserved before.
func madeAgain[I ~string](op *operation.Running) pool.Meta[I] {
	m := madeBy[I](op.Ticket(), op.IdempotencyKey())
	m.ID = I(op.ResourceID())
	return m
}

// Restore lists the image again after a restart.
func (h createImage) Restore(_ context.Context, op *operation.Running) error {
	_, _, err := h.again(op)
	return err
}

// Abandon leaves nothing of an image.
func (h createImage) Abandon(ctx context.Context, op *operation.Running) {
	id := pool.ImageID(op.ResourceID())
	h.node.ReleaseImage(id)
	h.dropDraft(ctx, op)
	if img, err := h.node.Image(id); err == nil && img.Operation == op.ID() {
		if err := h.node.DeleteImage(ctx, id); err != nil {
			op.Logger().Error("an image that is not wanted any more is left over", "image", id, "reason", err)
		}
	}
}

func (h createImage) dropDraft(ctx context.Context, op *operation.Running) {
	if err := h.node.DropDraft(ctx, op.ID()); err != nil {
		op.Logger().Error("a draft is left over", "reason", err)
	}
}

// Run makes the image.
func (h createImage) Run(ctx context.Context, op *operation.Running) (proto.Message, error) {
	img, req, err := h.again(op)
	if err == nil && img.Status != pool.Ready {
		img, err = h.fill(ctx, op, img, req)
	}
	if err != nil {
		return nil, err
	}
	return imageMessage(img), nil
}

func (h createImage) fill(ctx context.Context, op *operation.Running, img pool.Image, req *computepb.CreateImageRequest) (pool.Image, error) {
	expected, err := decodeExpectation(op.Private())
	if err != nil {
		return img, err
	}
	switch {
	case req.GetImageId() != "", req.GetSnapshotId() != "":
		return h.node.CopyImage(ctx, img.ID, expected.Digest)
	case req.GetDiskId() != "":
		return h.node.MakeImageOfDisk(ctx, img.ID, expected.Digest, op.Progress)
	}
	img, err = h.fetchImage(ctx, op, img.ID, req.GetUri(), expected)
	if err != nil && !errors.Is(context.Cause(ctx), operation.ErrDraining) {
		h.dropDraft(ctx, op)
	}
	return img, status.Blame("uri", err)
}
