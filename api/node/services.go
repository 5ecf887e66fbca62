package node

import (
	"context"

	"google.golang.org/grpc"

	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/web"
	"github.com/blockmill/blockmill/pool"
)

// Keeper looks after the store that a node is on.
type Keeper interface {
	// Stat says what the node holds, but for its operations.
	Stat(ctx context.Context) (*blockmillpb.NodeStat, error)
	// Scrub compares what is stored with its checksums. A cancelled one goes
	// on where it was the next time.
	Scrub(ctx context.Context, req *blockmillpb.ScrubRequest, progress func(done, total int64)) (*blockmillpb.ScrubReport, error)
	// CollectGarbage gives back the space of what nothing needs.
	CollectGarbage(ctx context.Context, req *blockmillpb.CollectGarbageRequest) (*blockmillpb.GarbageReport, error)
}

// Options say what the services serve. All are required.
type Options struct {
	Node       *pool.Node
	Operations *operation.Engine
	Keeper     Keeper
	Events     *EventLog
	Images     ImageMaker
}

// Services are the services of a node.
type Services struct {
	operations operationService
	node       nodeService
	pools      poolService
	disks      diskService
	images     imageService
}

// New makes the services and registers the handlers of their operations, so that
// it is called before the engine starts.
func New(opts Options) *Services {
	opts.Operations.Register(scrubKind, scrubHandler{opts.Keeper})
	opts.Operations.Register(garbageKind, garbageHandler{opts.Keeper})
	return &Services{
		operations: operationService{engine: opts.Operations},
		node:       nodeService{engine: opts.Operations, keeper: opts.Keeper, events: opts.Events},
		pools:      poolService{node: opts.Node},
		disks:      diskService{node: opts.Node},
		images:     imageService{images: opts.Images},
	}
}

// Page gives what the status page of the node is made of.
func (s *Services) Page(page web.Services) web.Services {
	page.Node, page.Pools, page.Operations = &s.node, &s.pools, &s.operations
	return page
}

// Register gives the services to a server.
func (s *Services) Register(r grpc.ServiceRegistrar) {
	blockmillpb.RegisterOperationServiceServer(r, &s.operations)
	blockmillpb.RegisterNodeServiceServer(r, &s.node)
	blockmillpb.RegisterPoolServiceServer(r, &s.pools)
	blockmillpb.RegisterDiskServiceServer(r, &s.disks)
	blockmillpb.RegisterImageServiceServer(r, &s.images)
}
