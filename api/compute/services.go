package compute

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"google.golang.org/grpc"

	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/convert/fetch"
	"github.com/blockmill/blockmill/pool"
)

// Options say what the services serve. Node and Operations are required.
type Options struct {
	Node       *pool.Node
	Operations *operation.Engine
	// Fetch says where from, and how, URLs are fetched.
	Fetch fetch.Options
	// Export says where images are exported to.
	Export ExportOptions
}

// Services are the services of a node.
type Services struct {
	core      *core
	images    *imageService
	snapshots *snapshotService
	disks     *diskService
}

// core is what the services share.
type core struct {
	node       *pool.Node
	operations *operation.Engine
	fetch      atomic.Pointer[fetch.Options]
	export     *exporter

	images    *kind[pool.Image]
	snapshots *kind[pool.Snapshot]
	disks     *kind[pool.Disk]
}

// New makes the services and registers their handlers, so that it is called
// before the engine starts.
func New(opts Options) (*Services, error) {
	if opts.Node == nil || opts.Operations == nil {
		return nil, errors.New("make services: no node or no operations")
	}
	c := &core{
		node: opts.Node, operations: opts.Operations,
		images: imageKind(opts.Node), snapshots: snapshotKind(opts.Node), disks: diskKind(opts.Node),
	}
	c.fetch.Store(&opts.Fetch)
	c.export = &exporter{opts: opts.Export, fetch: c.fetch.Load}
	handlers := make(map[string]operation.Handler)
	c.imageHandlers(handlers)
	c.snapshotHandlers(handlers)
	c.diskHandlers(handlers)
	for name, h := range handlers {
		opts.Operations.Register(name, h)
	}
	return &Services{core: c, images: &imageService{core: c}, snapshots: &snapshotService{core: c}, disks: &diskService{core: c}}, nil
}

// SetFetch says where from, and how, URLs are fetched from now on.
func (s *Services) SetFetch(o fetch.Options) { s.core.fetch.Store(&o) }

// Images is the service of images.
func (s *Services) Images() computepb.ImageServiceServer { return s.images }

// Register gives the services to a server.
func (s *Services) Register(r grpc.ServiceRegistrar) {
	computepb.RegisterImageServiceServer(r, s.images)
	computepb.RegisterSnapshotServiceServer(r, s.snapshots)
	computepb.RegisterDiskServiceServer(r, s.disks)
}

// Sweep gives up the drafts of operations that have ended or are not known any
// more. It is called once the engine has started.
func (s *Services) Sweep(ctx context.Context) error {
	drafts, err := s.core.node.Drafts(ctx)
	for _, name := range drafts {
		if info, lost := s.core.operations.Info(name); lost == nil && info.Stage != operation.Done {
			continue
		}
		err = errors.Join(err, s.core.node.DropDraft(ctx, name))
	}
	if err != nil {
		return fmt.Errorf("give up old drafts: %w", err)
	}
	return nil
}
