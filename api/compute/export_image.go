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
	"github.com/blockmill/blockmill/pool"
)

// undoTimeout bounds the clean-up of a failed export.
const undoTimeout = 30 * time.Second

// manifest is what is exported beside the bytes.
type manifest struct {
	Version     int               `json:"version"`
	Kind        string            `json:"kind"`
	ID          string            `json:"id"`
	Folder      pool.FolderID     `json:"folder_id"`
	Name        string            `json:"name,omitempty"`
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Family      string            `json:"family,omitempty"`
	CreatedAt   time.Time         `json:"created_at"`
	ProductIDs  []string          `json:"product_ids,omitempty"`
	OS          pool.OS           `json:"os,omitzero"`
	MinDiskSize int64             `json:"min_disk_size,omitempty"`
	// Digest identifies the guest bytes; sizes are in bytes.
	Digest      string `json:"digest"`
	VirtualSize int64  `json:"virtual_size"`
	StorageSize int64  `json:"storage_size"`
	Object      object `json:"object"`
}

// object is the file that the bytes are in.
type object struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	Format string `json:"format"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

func manifestOf(t thing, kind string, c pool.Contents, h pool.Heritage) manifest {
	return manifest{
		Version: 1, Kind: kind, ID: t.id, Folder: t.folder, Name: t.name, Description: t.description, Labels: t.labels,
		CreatedAt: t.created, ProductIDs: h.ProductIDs, OS: h.OS,
		Digest: c.Digest.String(), VirtualSize: c.VirtualSize, StorageSize: c.StorageSize,
	}
}

// Export sends an image to a bucket.
func (s *imageService) Export(ctx context.Context, req *computepb.ExportImageRequest) (*opb.Operation, error) {
	id := req.GetImageId()
	return s.submit(ctx, mutation{
		kind: imageExport, description: "Export image", folder: s.images.folderOf(id), request: req,
		secret: req.GetCredentials() != nil,
		admit:  s.images.admitExport(ctx, s.export, id, req, &computepb.ExportImageMetadata{ImageId: id}),
	})
}

// Export sends a snapshot to a bucket.
func (s *snapshotService) Export(ctx context.Context, req *computepb.ExportSnapshotRequest) (*opb.Operation, error) {
	id := req.GetSnapshotId()
	return s.submit(ctx, mutation{
		kind: snapshotExport, description: "Export snapshot", folder: s.snapshots.folderOf(id), request: req,
		secret: req.GetCredentials() != nil,
		admit:  s.snapshots.admitExport(ctx, s.export, id, req, &computepb.ExportSnapshotMetadata{SnapshotId: id}),
	})
}

// admitExport lets a user of a thing that is ready send it where the node sends
// things to.
func (k *kind[T]) admitExport(ctx context.Context, e *exporter, id string, req exportRequest, metadata proto.Message) admission {
	return func(operation.Ticket) (operation.Reservation, error) {
		_, err := k.find(ctx, id, auth.User)
		if err == nil {
			err = k.check(id, pool.Edit{})
		}
		if err == nil {
			_, err = e.destination(req)
		}
		return operation.Reservation{ResourceID: id, Metadata: metadata}, err
	}
}

func (c *core) runExportImage(ctx context.Context, op *operation.Running) (proto.Message, error) {
	req := new(computepb.ExportImageRequest)
	if err := op.Request(req); err != nil {
		return nil, err
	}
	img, err := c.node.Image(pool.ImageID(req.GetImageId()))
	if err != nil {
		return nil, err
	}
	m := manifestOf(thingOf(&img.Meta), "image", img.Contents, img.Heritage)
	m.Family, m.MinDiskSize = img.Family, img.MinDiskSize
	return c.runExport(ctx, op, req, img.Contents, m)
}

func (c *core) runExportSnapshot(ctx context.Context, op *operation.Running) (proto.Message, error) {
	req := new(computepb.ExportSnapshotRequest)
	if err := op.Request(req); err != nil {
		return nil, err
	}
	s, err := c.node.Snapshot(pool.SnapshotID(req.GetSnapshotId()))
	if err != nil {
		return nil, err
	}
	return c.runExport(ctx, op, req, s.Contents, manifestOf(thingOf(&s.Meta), "snapshot", s.Contents, s.Heritage))
}

// runExport sends bytes under a name that only this operation uses.
func (c *core) runExport(ctx context.Context, op *operation.Running, req exportRequest, contents pool.Contents, m manifest) (answer proto.Message, err error) {
	d, err := c.export.destination(req)
	if err != nil {
		return nil, err
	}
	content, err := c.node.OpenContents(ctx, contents)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	d.name = m.ID + "/" + op.ID()
	key, err := c.export.send(ctx, d, content, m, op.Progress)
	if err != nil {
		return nil, err
	}
	return &computepb.ExportResponse{Bucket: d.bucket, ManifestKey: key}, nil
}
