package node

import (
	"context"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"

	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/api/rules"
)

// ImageMaker makes images from files of the node's machine.
type ImageMaker interface {
	CreateImageFromFile(ctx context.Context, path string, image *computepb.CreateImageRequest) (*opb.Operation, error)
}

// imageService serves blockmill.v1.ImageService.
type imageService struct {
	blockmillpb.UnimplementedImageServiceServer
	images ImageMaker
}

// CreateFromFile makes an image from a file.
func (s *imageService) CreateFromFile(ctx context.Context, req *blockmillpb.CreateFromFileRequest) (*blockmillpb.Started, error) {
	if err := rules.Check(req); err != nil {
		return nil, err
	}
	image := new(computepb.CreateImageRequest)
	if err := req.GetImage().UnmarshalTo(image); err != nil {
		return nil, rules.Violation("image", "Value must be a yandex.cloud.compute.v1.CreateImageRequest")
	}
	op, err := s.images.CreateImageFromFile(ctx, req.GetPath(), image)
	return &blockmillpb.Started{OperationId: op.GetId()}, err
}
