package remote

import (
	"context"
	"fmt"
	"iter"

	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/blockmill/blockmill/api/blockmillpb"
)

// Pools is the service of the pools of ready disks.
func (c *Client) Pools() blockmillpb.PoolServiceClient {
	return blockmillpb.NewPoolServiceClient(c.conn)
}

// Node is the service of the node as a whole.
func (c *Client) Node() blockmillpb.NodeServiceClient {
	return blockmillpb.NewNodeServiceClient(c.conn)
}

// Attach tells how to use a disk.
func (c *Client) Attach(ctx context.Context, diskID string) (*blockmillpb.Attachment, error) {
	return blockmillpb.NewDiskServiceClient(c.conn).Attach(ctx, &blockmillpb.AttachRequest{DiskId: diskID})
}

// watch returns when an operation or ctx ends, and reports the progress until then if
// progress is set. A daemon that does not tell is no error: who waits still sees the
// end.
func (c *Client) watch(ctx context.Context, id string, progress func(done, total int64)) {
	stream, err := c.Progress.Watch(ctx, &blockmillpb.WatchRequest{OperationId: id})
	if err != nil {
		return
	}
	for {
		p, err := stream.Recv()
		if err != nil || ctx.Err() != nil {
			return
		}
		if progress != nil {
			progress(p.DoneBytes, p.TotalBytes)
		}
	}
}

// ListOperations lists the operations of the folder, the newest first.
func (c *Client) ListOperations(ctx context.Context, running bool) iter.Seq2[*operation.Operation, error] {
	return pages(func(token string) ([]*operation.Operation, string, error) {
		r, err := c.Progress.List(ctx, &blockmillpb.ListOperationsRequest{FolderId: c.folder, Running: running, PageSize: pageSize, PageToken: token})
		if err != nil {
			return nil, "", err
		}
		ops := make([]*operation.Operation, len(r.Operations))
		for i, a := range r.Operations {
			ops[i] = new(operation.Operation)
			if err := a.UnmarshalTo(ops[i]); err != nil {
				return nil, "", fmt.Errorf("read operation: %w", err)
			}
		}
		return ops, r.NextPageToken, nil
	})
}

// CreateImageFromFile begins to make an image from a file on the daemon's
// machine.
func (c *Client) CreateImageFromFile(ctx context.Context, path string, req *compute.CreateImageRequest) (*operation.Operation, error) {
	image, err := anypb.New(req)
	if err != nil {
		return nil, err
	}
	return c.started(ctx)(blockmillpb.NewImageServiceClient(c.conn).CreateFromFile(ctx, &blockmillpb.CreateFromFileRequest{Path: path, Image: image}))
}

// Scrub begins to compare what is stored with its checksums.
func (c *Client) Scrub(ctx context.Context, repair, full bool) (*operation.Operation, error) {
	return c.started(ctx)(c.Node().Scrub(ctx, &blockmillpb.ScrubRequest{Repair: repair, Full: full}))
}

// CollectGarbage begins to give space back.
func (c *Client) CollectGarbage(ctx context.Context, recompress bool) (*operation.Operation, error) {
	return c.started(ctx)(c.Node().CollectGarbage(ctx, &blockmillpb.CollectGarbageRequest{Recompress: recompress}))
}

// started looks at an operation that was begun.
func (c *Client) started(ctx context.Context) func(*blockmillpb.Started, error) (*operation.Operation, error) {
	return func(s *blockmillpb.Started, err error) (*operation.Operation, error) {
		if err != nil {
			return nil, err
		}
		return c.Operations.Get(ctx, &operation.GetOperationRequest{OperationId: s.OperationId})
	}
}
