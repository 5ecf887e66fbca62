package compute

import (
	"context"
	"strconv"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/access"
	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/rules"
	"github.com/blockmill/blockmill/api/status"
	"github.com/blockmill/blockmill/pool"
)

// The kinds of operations on images.
const (
	imageCreate = "image.create"
	imageUpdate = "image.update"
	imageDelete = "image.delete"
	imageExport = "image.export"
)

// imageService is yandex.cloud.compute.v1.ImageService.
type imageService struct {
	computepb.UnimplementedImageServiceServer
	*core
}

func imageKind(n *pool.Node) *kind[pool.Image] {
	return &kind[pool.Image]{
		name: "image",
		get:  func(id string) (pool.Image, error) { return n.Image(pool.ImageID(id)) },
		list: n.Images,
		check: func(id string, e pool.Edit) error {
			return n.CheckImage(pool.ImageID(id), pool.ImageEdit{Name: e.Name})
		},
		edit: func(ctx context.Context, id string, e pool.Edit) (pool.Image, error) {
			return n.UpdateImage(ctx, pool.ImageID(id), pool.ImageEdit{
				Name: e.Name, Description: e.Description, Labels: e.Labels, Bindings: e.Bindings,
			})
		},
		thing: func(img *pool.Image) thing { return thingOf(&img.Meta) },
		fields: map[string]func(*pool.Image) string{
			"family": func(img *pool.Image) string { return img.Family },
			"pooled": func(img *pool.Image) string { return strconv.FormatBool(img.Pooled) },
		},
	}
}

// imageHandlers are those of the operations on images.
func (c *core) imageHandlers(handlers map[string]operation.Handler) {
	handlers[imageCreate] = createImage{c}
	handlers[imageFromFile] = createImageFromFile{createImage{c}}
	handlers[imageUpdate] = operation.HandlerFunc(c.runUpdateImage)
	handlers[imageDelete] = deletion(func(ctx context.Context, id string) error {
		return c.node.DeleteImage(ctx, pool.ImageID(id))
	})
	handlers[imageExport] = operation.HandlerFunc(c.runExportImage)
	accessHandlers(c.images, handlers)
}

// Get gives an image.
func (s *imageService) Get(ctx context.Context, req *computepb.GetImageRequest) (*computepb.Image, error) {
	if err := rules.Check(req); err != nil {
		return nil, err
	}
	img, err := s.images.find(ctx, req.GetImageId(), auth.Viewer)
	if err != nil {
		return nil, err
	}
	return imageMessage(img), nil
}

// GetLatestByFamily gives the newest image of a family that is ready.
func (s *imageService) GetLatestByFamily(ctx context.Context, req *computepb.GetImageLatestByFamilyRequest) (*computepb.Image, error) {
	if err := rules.Check(req); err != nil {
		return nil, err
	}
	img, err := s.node.LatestByFamily(pool.FolderID(req.GetFolderId()), req.GetFamily())
	if err == nil {
		err = refused("image of family", req.GetFamily(), auth.Allow(ctx, auth.Viewer, auth.Images, img.Folder, img.Bindings))
	}
	if err != nil {
		return nil, status.Err(err)
	}
	return imageMessage(img), nil
}

// List gives a page of a folder's images.
func (s *imageService) List(ctx context.Context, req *computepb.ListImagesRequest) (*computepb.ListImagesResponse, error) {
	page, next, err := s.images.page(ctx, req.GetFolderId(), req)
	if err != nil {
		return nil, err
	}
	answer := &computepb.ListImagesResponse{NextPageToken: next, Images: make([]*computepb.Image, len(page))}
	for i, img := range page {
		answer.Images[i] = imageMessage(img)
	}
	return answer, nil
}

// ListOperations gives a page of an image's operations, the newest first.
func (s *imageService) ListOperations(ctx context.Context, req *computepb.ListImageOperationsRequest) (*computepb.ListImageOperationsResponse, error) {
	page, next, err := history(ctx, s.core, s.images, req.GetImageId(), req)
	if err != nil {
		return nil, err
	}
	return &computepb.ListImageOperationsResponse{Operations: page, NextPageToken: next}, nil
}

// ListAccessBindings gives a page of an image's access bindings.
func (s *imageService) ListAccessBindings(ctx context.Context, req *access.ListAccessBindingsRequest) (*access.ListAccessBindingsResponse, error) {
	return listBindings(ctx, s.images, req)
}

// SetAccessBindings replaces an image's access bindings.
func (s *imageService) SetAccessBindings(ctx context.Context, req *access.SetAccessBindingsRequest) (*opb.Operation, error) {
	return setBindings(ctx, s.core, s.images, req)
}

// UpdateAccessBindings adds and removes access bindings of an image.
func (s *imageService) UpdateAccessBindings(ctx context.Context, req *access.UpdateAccessBindingsRequest) (*opb.Operation, error) {
	return updateBindings(ctx, s.core, s.images, req)
}
