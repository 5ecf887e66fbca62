package compute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/protobuf/proto"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/rules"
	"github.com/blockmill/blockmill/api/status"
	"github.com/blockmill/blockmill/pool"
)

// imageFromFile is the kind of operations that make an image from a file of the
// node's machine.
const imageFromFile = "image.create-from-file"

// localFile is a file and whose permissions count.
type localFile struct {
	Path string `json:"path"`
	UID  uint32 `json:"uid"`
	GID  uint32 `json:"gid"`
}

// CreateImageFromFile makes an image, which the request names without a source, from
// a file that the caller, a process of this machine, may read.
func (s *Services) CreateImageFromFile(ctx context.Context, path string, image *computepb.CreateImageRequest) (*opb.Operation, error) {
	subject, ok := auth.FromContext(ctx)
	if !ok {
		return nil, status.Err(auth.ErrUnauthenticated)
	}
	if !subject.Local {
		return nil, status.Err(fmt.Errorf("files are taken from callers at the local socket alone: %w", auth.ErrDenied))
	}
	if image.GetSource() != nil {
		return nil, rules.Violation("source", "A file is the source")
	}
	f := localFile{path, subject.UID, subject.GID}
	private, err := json.Marshal(f)
	if err != nil {
		return nil, status.Err(err)
	}
	req := proto.CloneOf(image)
	req.Source = &computepb.CreateImageRequest_Uri{Uri: (&url.URL{Scheme: "file", Path: path}).String()}
	c := s.core
	return c.submit(ctx, mutation{
		kind: imageFromFile, description: "Create image", folder: req.GetFolderId(), request: req, private: private,
		admit: func(op string) (operation.Reservation, error) {
			if err := allowFolder(ctx, req.GetFolderId(), auth.Editor); err != nil {
				return operation.Reservation{}, err
			}
			file, err := f.open()
			if err != nil {
				return operation.Reservation{}, rules.Violation("path", "%v", err)
			}
			if err := file.Close(); err != nil {
				return operation.Reservation{}, err
			}
			key, _ := idempotencyKey(ctx) // which submit has looked at
			img, err := c.reserveImage(req, pool.Meta[pool.ImageID]{Operation: op, IdempotencyKey: key})
			return operation.Reservation{
				ResourceID: string(img.ID), Metadata: &computepb.CreateImageMetadata{ImageId: string(img.ID)},
				Release: func() { c.node.ReleaseImage(img.ID) },
			}, err
		},
	})
}

// createImageFromFile is the handler of image.create-from-file.
type createImageFromFile struct{ createImage }

// Run makes the image.
func (h createImageFromFile) Run(ctx context.Context, op *operation.Running) (proto.Message, error) {
	img, _, err := h.again(op)
	if err == nil && img.Status != pool.Ready {
		img, err = h.readImage(ctx, op, img.ID)
		if err != nil && !errors.Is(context.Cause(ctx), operation.ErrDraining) {
			h.dropDraft(ctx, op)
		}
	}
	if err != nil {
		return nil, err
	}
	return imageMessage(img), nil
}

// readImage fills a reserved image with the file.
func (h createImageFromFile) readImage(ctx context.Context, op *operation.Running, id pool.ImageID) (img pool.Image, err error) {
	defer h.node.ReleaseImage(id) // unless it is made
	var f localFile
	if err := json.Unmarshal(op.Private(), &f); err != nil {
		return pool.Image{}, err
	}
	file, err := f.open()
	if err != nil {
		return pool.Image{}, rules.Violation("path", "%v", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	size, pin, err := sizeAndPin(file)
	if err != nil {
		return pool.Image{}, err
	}
	content, format, err := h.node.OpenSource(file, size)
	if err != nil {
		return pool.Image{}, err
	}
	img, err = h.node.FillImage(ctx, id, pool.Filling{
		Content: content, Format: format, Progress: op.Progress, Draft: op.ID(), Pin: pin + " as " + string(format),
	})
	if err != nil {
		return pool.Image{}, err
	}
	if _, after, err := sizeAndPin(file); err != nil || after != pin {
		return pool.Image{}, errors.Join(err, h.node.DeleteImage(ctx, id), rules.Violation("path", "The file has changed while it was read"))
	}
	return img, nil
}

// sizeAndPin tells a file's length and what tells it from its successors.
func sizeAndPin(f *os.File) (int64, string, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, "", err
	}
	size, err := f.Seek(0, io.SeekEnd) // which a block device has too
	if err != nil {
		return 0, "", err
	}
	return size, fmt.Sprintf("file %s %d %d", f.Name(), size, info.ModTime().UnixNano()), nil
}
