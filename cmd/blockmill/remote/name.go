package remote

import (
	"context"
	"fmt"
	"iter"
	"regexp"

	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// idPattern is the form of an id. A name may have it too, so what has it is
// looked for as both.
var idPattern = regexp.MustCompile(`^[a-z0-9]{20}$`)

// Image finds an image by id or name.
func (c *Client) Image(ctx context.Context, nameOrID string) (*compute.Image, error) {
	return find(ctx, "image", nameOrID, func(id string) (*compute.Image, error) {
		return c.Images.Get(ctx, &compute.GetImageRequest{ImageId: id})
	}, c.ListImages)
}

// Disk finds a disk by id or name.
func (c *Client) Disk(ctx context.Context, nameOrID string) (*compute.Disk, error) {
	return find(ctx, "disk", nameOrID, func(id string) (*compute.Disk, error) {
		return c.Disks.Get(ctx, &compute.GetDiskRequest{DiskId: id})
	}, c.ListDisks)
}

// Snapshot finds a snapshot by id or name.
func (c *Client) Snapshot(ctx context.Context, nameOrID string) (*compute.Snapshot, error) {
	return find(ctx, "snapshot", nameOrID, func(id string) (*compute.Snapshot, error) {
		return c.Snapshots.Get(ctx, &compute.GetSnapshotRequest{SnapshotId: id})
	}, c.ListSnapshots)
}

// find looks for an id first, then for a name.
func find[T any](ctx context.Context, kind, nameOrID string, get func(id string) (T, error), list func(ctx context.Context, q Query) iter.Seq2[T, error]) (T, error) {
	var none T
	if idPattern.MatchString(nameOrID) {
		got, err := get(nameOrID)
		if status.Code(err) != codes.NotFound {
			return got, err
		}
	}
	for got, err := range list(ctx, Query{Filter: fmt.Sprintf("name = %q", nameOrID)}) {
		return got, err
	}
	return none, status.Errorf(codes.NotFound, "no such %s", kind)
}

// Query says what is listed, in the daemon's words: all that a filter lets through,
// and in which order. The zero value is everything, by id.
type Query struct{ Filter, OrderBy string }

// ListImages lists images of the folder.
func (c *Client) ListImages(ctx context.Context, q Query) iter.Seq2[*compute.Image, error] {
	return pages(func(token string) ([]*compute.Image, string, error) {
		r, err := c.Images.List(ctx, &compute.ListImagesRequest{FolderId: c.folder, Filter: q.Filter, OrderBy: q.OrderBy, PageToken: token, PageSize: pageSize})
		return r.GetImages(), r.GetNextPageToken(), err
	})
}

// ListDisks lists disks as ListImages does images.
func (c *Client) ListDisks(ctx context.Context, q Query) iter.Seq2[*compute.Disk, error] {
	return pages(func(token string) ([]*compute.Disk, string, error) {
		r, err := c.Disks.List(ctx, &compute.ListDisksRequest{FolderId: c.folder, Filter: q.Filter, OrderBy: q.OrderBy, PageToken: token, PageSize: pageSize})
		return r.GetDisks(), r.GetNextPageToken(), err
	})
}

// ListSnapshots lists snapshots as ListImages does images.
func (c *Client) ListSnapshots(ctx context.Context, q Query) iter.Seq2[*compute.Snapshot, error] {
	return pages(func(token string) ([]*compute.Snapshot, string, error) {
		r, err := c.Snapshots.List(ctx, &compute.ListSnapshotsRequest{FolderId: c.folder, Filter: q.Filter, OrderBy: q.OrderBy, PageToken: token, PageSize: pageSize})
		return r.GetSnapshots(), r.GetNextPageToken(), err
	})
}

// pageSize is the length of the pages that lists are asked for in.
const pageSize = 1000

// pages yields what is on all pages of a list, in order.
func pages[T any](page func(token string) (items []T, next string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for token := ""; ; {
			items, next, err := page(token)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			token = next
		}
	}
}
