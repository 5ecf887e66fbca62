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
	"github.com/blockmill/blockmill/blockio"
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
	// Expected is what an operation is to find in it.
	Expected expectation `json:"expected,omitzero"`
}

// CreateImageFromFile makes an image, which the request names without a source, from
// a file that the caller, a process of this machine, may read.
func (s *Services) CreateImageFromFile(ctx context.Context, path string, image *computepb.CreateImageRequest) (*opb.Operation, error) {
	f, err := callersFile(ctx, path)
	if err != nil {
		return nil, status.Err(err)
	}
	var bad error
	f.Expected, bad = expectationOf(ctx, true)
	var wrong rules.Violations
	if image.GetSource() != nil {
		wrong.Add("source", "A file is the source")
	}
	req := proto.CloneOf(image)
	req.Source = &computepb.CreateImageRequest_Uri{Uri: (&url.URL{Scheme: "file", Path: path}).String()}
	return s.core.submit(ctx, mutation{
		kind: imageFromFile, description: "Create image", folder: req.GetFolderId(), request: req, private: f.encode(),
		wrong: []error{wrong.Err(), bad},
		admit: s.core.admitNewImage(ctx, req, f.admit),
	})
}

// callersFile is a file with the permissions of the caller, who has to be a process
// of this machine.
func callersFile(ctx context.Context, path string) (localFile, error) {
	subject, ok := auth.FromContext(ctx)
	if !ok {
		return localFile{}, auth.ErrUnauthenticated
	}
	if !subject.Local {
		return localFile{}, fmt.Errorf("files are taken from callers at the local socket alone: %w", auth.ErrDenied)
	}
	return localFile{Path: path, UID: subject.UID, GID: subject.GID}, nil
}

func (f localFile) encode() []byte {
	p, err := json.Marshal(f)
	if err != nil {
		panic("compute: " + err.Error()) // it has but strings, numbers and bytes
	}
	return p
}

// admit lets an editor of a folder make an image there of a file that he may read.
func (f localFile) admit(ctx context.Context, req *computepb.CreateImageRequest) error {
	if err := allowFolder(ctx, req.GetFolderId(), auth.Editor, auth.Images); err != nil {
		return err
	}
	file, err := f.open()
	if err != nil {
		return rules.Violation("path", "%v", err)
	}
	return file.Close()
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
		return nil, status.Blame("path", err)
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
	src, err := blockio.Reopen(file, blockio.DeviceOptions{})
	if err != nil {
		return pool.Image{}, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	content, format, err := h.node.OpenSource(src, size)
	if err != nil {
		return pool.Image{}, err
	}
	verdict, stop := beside(ctx, func(ctx context.Context) error {
		return verifySHA256(ctx, src, size, f.Expected.SHA256)
	})
	defer stop()
	return h.node.FillImage(ctx, id, pool.Filling{
		Content: content, Format: format, Digest: f.Expected.Digest, Progress: op.Progress, Saved: op.Advanced,
		Draft: op.ID(), Pin: pin + " as " + string(format),
		Verify: func(context.Context) error {
			err := verdict()
			if _, after, failed := sizeAndPin(file); failed != nil || after != pin {
				return errors.Join(failed, rules.Violation("path", "The file has changed while it was read"))
			}
			return err
		},
	})
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
