package compute

import (
	"context"
	"errors"
	"slices"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/pool"
)

// Update changes what is known of an image.
func (s *imageService) Update(ctx context.Context, req *computepb.UpdateImageRequest) (*opb.Operation, error) {
	id := req.GetImageId()
	return s.submit(ctx, mutation{
		kind: imageUpdate, description: "Update image", folder: s.images.folderOf(id), request: req, inline: true,
		admit: func(operation.Ticket) (operation.Reservation, error) {
			_, err := s.images.find(ctx, id, auth.Editor)
			if err == nil {
				err = s.node.CheckImage(pool.ImageID(id), imageEdit(req))
			}
			return operation.Reservation{ResourceID: id, Metadata: &computepb.UpdateImageMetadata{ImageId: id}}, err
		},
	})
}

func (c *core) runUpdateImage(ctx context.Context, op *operation.Running) (proto.Message, error) {
	req := new(computepb.UpdateImageRequest)
	if err := op.Request(req); err != nil {
		return nil, err
	}
	img, err := c.node.UpdateImage(ctx, pool.ImageID(req.GetImageId()), imageEdit(req))
	if err != nil {
		return nil, err
	}
	return imageMessage(img), nil
}

func imageEdit(req *computepb.UpdateImageRequest) pool.ImageEdit {
	e := edit(req)
	return pool.ImageEdit{
		Name: e.Name, Description: e.Description, Labels: e.Labels,
		MinDiskSize: masked(req.GetUpdateMask(), "min_disk_size", req.GetMinDiskSize()),
	}
}

// updateRequest is what the update requests of all kinds have.
type updateRequest interface {
	GetUpdateMask() *fieldmaskpb.FieldMask
	GetName() string
	GetDescription() string
	GetLabels() map[string]string
}

// edit is the part of an update that all kinds have.
func edit(req updateRequest) pool.Edit {
	mask := req.GetUpdateMask()
	return pool.Edit{
		Name:        masked(mask, "name", req.GetName()),
		Description: masked(mask, "description", req.GetDescription()),
		Labels:      masked(mask, "labels", req.GetLabels()),
	}
}

// masked gives the new value of a field that a mask names, nil for one that
// stays. No mask names all.
func masked[T any](mask *fieldmaskpb.FieldMask, path string, v T) *T {
	if len(mask.GetPaths()) > 0 && !slices.Contains(mask.GetPaths(), path) {
		return nil
	}
	return &v
}

// Delete removes an image.
func (s *imageService) Delete(ctx context.Context, req *computepb.DeleteImageRequest) (*opb.Operation, error) {
	id := req.GetImageId()
	return s.submit(ctx, mutation{
		kind: imageDelete, description: "Delete image", folder: s.images.folderOf(id), request: req, inline: true,
		admit: admitEdit(ctx, s.images, id, pool.Edit{}, &computepb.DeleteImageMetadata{ImageId: id}),
	})
}

// deletion is the handler of deletes. What is gone already after a restart was
// deleted before it.
func deletion(remove func(ctx context.Context, id string) error) operation.Handler {
	return operation.HandlerFunc(func(ctx context.Context, op *operation.Running) (proto.Message, error) {
		err := remove(ctx, op.ResourceID())
		if op.Restored() && errors.Is(err, pool.ErrNotFound) {
			err = nil
		}
		if err != nil {
			return nil, err
		}
		return new(emptypb.Empty), nil
	})
}
