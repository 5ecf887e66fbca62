package node_test

import (
	"context"
	"net"
	"sync"
	"testing"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/api/node"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/status"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/convert/raw"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
)

// subjects are who calls, by the header "subject". Folder f has victor for a
// viewer, edgar for an editor; mallory has a folder of his own.
var subjects = map[string]auth.Subject{
	"root":    {ID: "root", Type: auth.UserAccount, Folders: map[pool.FolderID]auth.Grant{auth.EveryFolder: {Role: auth.Admin}}},
	"edgar":   {ID: "edgar", Type: auth.UserAccount, Folders: map[pool.FolderID]auth.Grant{"f": {Role: auth.Editor}}},
	"victor":  {ID: "victor", Type: auth.UserAccount, Folders: map[pool.FolderID]auth.Grant{"f": {Role: auth.Viewer}}},
	"mallory": {ID: "mallory", Type: auth.UserAccount, Folders: map[pool.FolderID]auth.Grant{"m": {Role: auth.Admin}}},
}

// world is a node and its services, reached over gRPC in memory.
type world struct {
	t          *testing.T
	node       *pool.Node
	operations *operation.Engine
	keeper     *keeper
	files      *fileImages
	events     *node.EventLog
	conn       *grpc.ClientConn
}

// keeper answers with what it was asked for; a scrub waits until it may end.
type keeper struct {
	mu       sync.Mutex
	scrubs   []*blockmillpb.ScrubRequest
	scrubbed chan struct{} // closed: scrubs end
}

func (*keeper) Stat(context.Context) (*blockmillpb.NodeStat, error) {
	return &blockmillpb.NodeStat{Version: "1.2.3"}, nil
}

func (k *keeper) Scrub(ctx context.Context, req *blockmillpb.ScrubRequest, progress func(done, total int64)) (*blockmillpb.ScrubReport, error) {
	k.mu.Lock()
	k.scrubs = append(k.scrubs, req)
	k.mu.Unlock()
	progress(3, 10)
	select {
	case <-k.scrubbed:
		return &blockmillpb.ScrubReport{ReadBytes: 10}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (*keeper) CollectGarbage(_ context.Context, req *blockmillpb.CollectGarbageRequest) (*blockmillpb.GarbageReport, error) {
	report := &blockmillpb.GarbageReport{Segments: 1}
	if req.GetRecompress() {
		report.Segments = 2
	}
	return report, nil
}

// fileImages notes what images were to be made.
type fileImages struct {
	path  string
	image *computepb.CreateImageRequest
}

func (f *fileImages) CreateImageFromFile(_ context.Context, path string, image *computepb.CreateImageRequest) (*opb.Operation, error) {
	f.path, f.image = path, image
	return &opb.Operation{Id: "op"}, nil
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	volume := blockiotest.NewMemVolume()
	if err := cas.Init(ctx, cas.Options{Volume: volume}); err != nil {
		t.Fatal(err)
	}
	store := must[*cas.Store](t)(cas.Open(ctx, cas.Options{Volume: volume}))
	w := &world{t: t, keeper: &keeper{scrubbed: make(chan struct{})}, files: new(fileImages), events: new(node.EventLog)}
	w.node = must[*pool.Node](t)(pool.Open(ctx, pool.Options{
		Store: store, Disks: []provision.Options{{Path: t.TempDir(), Reserve: -1}},
	}))
	w.operations = must[*operation.Engine](t)(operation.Open(ctx, operation.Options{Dir: t.TempDir(), Status: status.Proto}))
	services := node.New(node.Options{Node: w.node, Operations: w.operations, Keeper: w.keeper, Events: w.events, Images: w.files})
	if err := w.operations.Start(ctx); err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
			return h(called(ctx), req)
		}),
		grpc.StreamInterceptor(func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) error {
			return h(srv, stream{s, called(s.Context())})
		}),
	)
	services.Register(server)
	l := bufconn.Listen(1 << 20)
	go server.Serve(l)
	w.conn = must[*grpc.ClientConn](t)(grpc.NewClient("passthrough:mem", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return l.Dial() })))
	t.Cleanup(func() {
		w.conn.Close()
		server.Stop()
		for _, closing := range []func() error{
			func() error { return w.operations.Close(context.Background()) }, w.node.Close, store.Close,
		} {
			if err := closing(); err != nil {
				t.Error(err)
			}
		}
	})
	return w
}

// called gives the context of a call whose header says who calls.
func called(ctx context.Context) context.Context {
	if name := metadata.ValueFromIncomingContext(ctx, "subject"); len(name) == 1 {
		ctx = auth.NewContext(ctx, subjects[name[0]])
	}
	return ctx
}

type stream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s stream) Context() context.Context { return s.ctx }

// as is a context of calls by somebody; nobody is "".
func (w *world) as(name string) context.Context {
	if name == "" {
		return w.t.Context()
	}
	return metadata.AppendToOutgoingContext(w.t.Context(), "subject", name)
}

// image makes an image of a folder.
func (w *world) image(folder pool.FolderID, pooled bool) pool.Image {
	w.t.Helper()
	img := must[pool.Image](w.t)(w.node.ReserveImage(pool.Image{Meta: pool.Meta[pool.ImageID]{Folder: folder}, Pooled: pooled}))
	content := must[*raw.Image](w.t)(raw.Open(blank{}, 1<<20))
	return must[pool.Image](w.t)(w.node.FillImage(w.t.Context(), img.ID, pool.Filling{Content: content, Format: convert.Raw}))
}

// blank is a disk of ones.
type blank struct{}

func (blank) ReadAt(p []byte, _ int64) (int, error) {
	for i := range p {
		p[i] = 1
	}
	return len(p), nil
}
