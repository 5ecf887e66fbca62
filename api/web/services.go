package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/blockmill/blockmill/api/blockmillpb"
)

// Services is a source that asks the API's own services, in the name of the
// request: they say what its subject may see.
type Services struct {
	Name      string // of the node
	StartedAt time.Time
	// Warnings are what operators have to read, Folders those whose images,
	// pools and operations are shown; both are asked for each time.
	Warnings, Folders func() []string

	Node       NodeStater
	Images     ImageLister
	Pools      PoolLister
	Operations OperationLister
	Clock      func() time.Time // nil is time.Now
}

// NodeStater is of blockmill.v1.NodeService.
type NodeStater interface {
	Stat(context.Context, *blockmillpb.StatRequest) (*blockmillpb.NodeStat, error)
}

// ImageLister is of the public ImageService.
type ImageLister interface {
	List(context.Context, *compute.ListImagesRequest) (*compute.ListImagesResponse, error)
}

// PoolLister is of blockmill.v1.PoolService.
type PoolLister interface {
	List(context.Context, *blockmillpb.ListPoolsRequest) (*blockmillpb.ListPoolsResponse, error)
}

// OperationLister is of blockmill.v1.OperationService.
type OperationLister interface {
	List(context.Context, *blockmillpb.ListOperationsRequest) (*blockmillpb.ListOperationsResponse, error)
	Watch(*blockmillpb.WatchRequest, blockmillpb.OperationService_WatchServer) error
}

var _ Source = (*Services)(nil)

// How much the page shows.
const (
	maxImages     = 200
	maxOperations = 30
)

// Status implements Source.
func (s *Services) Status(ctx context.Context) (Status, error) {
	now := time.Now
	if s.Clock != nil {
		now = s.Clock
	}
	stat, err := s.Node.Stat(ctx, &blockmillpb.StatRequest{})
	if err != nil {
		return Status{}, refused("node", err)
	}
	out := Status{
		Node:       Node{Name: s.Name, Version: stat.Version, StartedAt: s.StartedAt, Now: now().UTC(), Warnings: s.Warnings()},
		Savings:    savings(stat),
		Redundancy: redundancy(stat),
		Disks:      Disks{Count: stat.Disks},
	}
	for _, folder := range s.Folders() {
		if err := s.addFolder(ctx, folder, &out); err != nil {
			return Status{}, err
		}
	}
	slices.SortFunc(out.Images, func(a, b Image) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	out.Images = out.Images[:min(len(out.Images), maxImages)]
	out.Operations = latest(out.Operations)
	return out, nil
}

// addFolder adds what is in a folder. One that the subject may not see has
// nothing in it.
func (s *Services) addFolder(ctx context.Context, folder string, out *Status) error {
	images, err := s.Images.List(ctx, &compute.ListImagesRequest{FolderId: folder, PageSize: maxImages, OrderBy: "createdAt desc"})
	if hidden(err) {
		return nil
	}
	if err != nil {
		return refused("images", err)
	}
	names := make(map[string]string)
	for _, img := range images.Images {
		names[img.Id] = img.Name
		out.Images = append(out.Images, imageOf(img))
	}
	pools, err := s.Pools.List(ctx, &blockmillpb.ListPoolsRequest{FolderId: folder})
	if err != nil && !hidden(err) {
		return refused("pools", err)
	}
	for _, p := range pools.GetPools() {
		out.Pools = append(out.Pools, Pool{
			ImageID: p.ImageId, ImageName: names[p.ImageId], Method: p.Method, Ready: p.Ready, Target: p.Target,
			Waiting: p.Waiting, Hits: int64(p.Hits), Misses: int64(p.Misses),
		})
	}
	return s.addOperations(ctx, folder, out)
}

// hidden reports whether an error says that the subject may not see.
func hidden(err error) bool {
	code := status.Code(err)
	return code == codes.NotFound || code == codes.PermissionDenied
}

// refused makes an error of a service one of the page.
func refused(what string, err error) error {
	switch status.Code(err) {
	case codes.Unauthenticated:
		return &Error{Code: http.StatusUnauthorized, Text: "this node wants a token"}
	case codes.PermissionDenied, codes.NotFound:
		return &Error{Code: http.StatusForbidden, Text: "this page is for the node's operators"}
	default:
		return fmt.Errorf("ask for %s: %w", what, err)
	}
}

// errEnough ends a stream of which one message is wanted.
var errEnough = errors.New("enough")
