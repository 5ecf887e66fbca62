package compute_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/compute"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/status"
	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/blockio/blockiotest"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert/fetch"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
)

// world is a node and its services, reached over gRPC in memory. Who calls is said
// by the header "subject".
type world struct {
	t      testing.TB
	volume blockio.Volume
	dir    string // of the operations
	// disksDir is where disks are.
	disksDir string

	store      *cas.Store
	node       *pool.Node
	operations *operation.Engine
	services   *compute.Services
	server     *grpc.Server

	images    computepb.ImageServiceClient
	snapshots computepb.SnapshotServiceClient
	disks     computepb.DiskServiceClient

	tuning func(*compute.Options)
}

// subjects are who may call. Folder f is alice's, and she is let into g as a
// viewer; mallory has a folder of his own.
var subjects = map[string]auth.Subject{
	"alice":   {ID: "alice", Type: auth.UserAccount, Folders: map[pool.FolderID]auth.Grant{"f": {Role: auth.Admin}, "g": {Role: auth.Viewer}}},
	"edgar":   {ID: "edgar", Type: auth.UserAccount, Folders: map[pool.FolderID]auth.Grant{"f": {Role: auth.Editor}}},
	"ursula":  {ID: "ursula", Type: auth.UserAccount, Folders: map[pool.FolderID]auth.Grant{"f": {Role: auth.User}, "u": {Role: auth.Editor}}},
	"victor":  {ID: "victor", Type: auth.UserAccount, Folders: map[pool.FolderID]auth.Grant{"f": {Role: auth.Viewer}}},
	"mallory": {ID: "mallory", Type: auth.UserAccount, Folders: map[pool.FolderID]auth.Grant{"m": {Role: auth.Admin}}},
	"root":    {ID: "root", Type: auth.UserAccount, Folders: map[pool.FolderID]auth.Grant{auth.EveryFolder: {Role: auth.Admin}}},
}

func newWorld(t testing.TB, tuning ...func(*compute.Options)) *world {
	t.Helper()
	w := &world{t: t, volume: blockiotest.NewMemVolume(), dir: t.TempDir(), disksDir: t.TempDir()}
	w.tuning = func(o *compute.Options) {
		for _, f := range tuning {
			f(o)
		}
	}
	if err := cas.Init(t.Context(), cas.Options{Volume: w.volume}); err != nil {
		t.Fatal(err)
	}
	w.start()
	t.Cleanup(w.stop)
	return w
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w *world) start() {
	t := w.t
	t.Helper()
	// What the world needs outlives the test's context, which ends before the
	// cleanups.
	ctx := context.WithoutCancel(t.Context())
	w.store = must[*cas.Store](t)(cas.Open(ctx, cas.Options{Volume: w.volume}))
	w.node = must[*pool.Node](t)(pool.Open(ctx, pool.Options{
		Store: w.store, Disks: []provision.Options{{Path: w.disksDir, Reserve: -1}},
	}))
	w.operations = must[*operation.Engine](t)(operation.Open(ctx, operation.Options{Dir: w.dir, Status: status.Proto}))
	opts := compute.Options{
		Node: w.node, Operations: w.operations,
		Fetch: fetch.Options{Guard: fetch.Guard{Allow: []string{"127.0.0.0/8"}, AllowHTTP: true}, RetryDelay: time.Millisecond, SpoolDir: w.dir},
	}
	w.tuning(&opts)
	w.services = must[*compute.Services](t)(compute.New(opts))
	if err := w.operations.Recover(w.node.Submissions()); err != nil {
		t.Fatal(err)
	}
	if err := w.operations.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := w.services.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	w.server = grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		if name := metadata.ValueFromIncomingContext(ctx, "subject"); len(name) == 1 {
			ctx = auth.NewContext(ctx, subjects[name[0]])
		}
		return h(ctx, req)
	}))
	w.services.Register(w.server)
	l := bufconn.Listen(1 << 20)
	go w.server.Serve(l)
	conn := must[*grpc.ClientConn](t)(grpc.NewClient("passthrough:mem", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return l.Dial() })))
	t.Cleanup(func() { conn.Close() })
	w.images, w.snapshots, w.disks = computepb.NewImageServiceClient(conn), computepb.NewSnapshotServiceClient(conn), computepb.NewDiskServiceClient(conn)
}

func (w *world) stop() {
	w.t.Helper()
	w.server.Stop()
	if err := w.operations.Close(context.Background()); err != nil {
		w.t.Error(err)
	}
	if err := w.node.Close(); err != nil {
		w.t.Error(err)
	}
	if err := w.store.Close(); err != nil { // which tells of sessions and images that are open
		w.t.Error(err)
	}
}

// restart stops in order and starts again.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

// as is a context of calls by somebody, with further headers.
func (w *world) as(name string, headers ...string) context.Context {
	return metadata.AppendToOutgoingContext(w.t.Context(), append(headers, "subject", name)...)
}

// wait waits for the end of an operation, which must be the given one all along.
func (w *world) wait(op *opb.Operation, err error) *opb.Operation {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	done := must[*opb.Operation](w.t)(w.operations.Wait(w.t.Context(), op.GetId()))
	if diff := cmp.Diff(op.GetMetadata(), done.GetMetadata(), protocmp.Transform()); diff != "" || op.GetMetadata() == nil {
		w.t.Errorf("metadata at the beginning and the end:\n%s", diff)
	}
	return done
}

// response waits for the end of an operation and gives its response.
func response[T proto.Message](w *world, op *opb.Operation, err error) T {
	w.t.Helper()
	done := w.wait(op, err)
	if e := done.GetError(); e != nil {
		w.t.Fatalf("operation %s (%s): %v", done.GetId(), done.GetDescription(), e)
	}
	m := must[proto.Message](w.t)(done.GetResponse().UnmarshalNew())
	got, ok := m.(T)
	if !ok {
		w.t.Fatalf("response is a %T", m)
	}
	return got
}

// fails waits for the end of an operation, which must fail.
func (w *world) fails(code codes.Code, op *opb.Operation, err error) string {
	w.t.Helper()
	done := w.wait(op, err)
	if got := codes.Code(done.GetError().GetCode()); got != code || done.GetResponse() != nil {
		w.t.Errorf("operation ended with %v, want %v", done, code)
	}
	return done.GetError().GetMessage()
}

// refused says whether a call was refused with a code, and returns its message.
func refused(t *testing.T, code codes.Code, err error) string {
	t.Helper()
	if got := grpcstatus.Code(err); got != code {
		t.Errorf("refused with %v (%v), want %v", got, err, code)
	}
	return grpcstatus.Convert(err).Message()
}

// guest makes bytes for an image.
func guest(size int, text string) []byte {
	p := make([]byte, size)
	copy(p, text)
	return p
}

// web is a server of files by path.
type web struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte
	hold  map[string]chan struct{} // requests for a file wait until it is closed
	asked map[string]int
}

func newWeb(t *testing.T) *web {
	t.Helper()
	s := &web{files: map[string][]byte{}, hold: map[string]chan struct{}{}, asked: map[string]int{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	p, ok := s.files[r.URL.Path]
	hold := s.hold[r.URL.Path]
	s.asked[r.URL.Path]++
	first := s.asked[r.URL.Path] == 1
	s.mu.Unlock()
	if !ok {
		http.NotFound(rw, r)
		return
	}
	if hold != nil && !first {
		select {
		case <-hold:
		case <-r.Context().Done():
			return
		}
	}
	rw.Header().Set("ETag", fmt.Sprintf("%q", r.URL.Path))
	http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(p))
}

// put adds a file and returns its address, which is signed, as it were.
func (s *web) put(path string, p []byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path] = p
	return s.URL + path + "?X-Amz-Signature=" + secret
}

// secret is in the addresses of sources, and must be nowhere else.
const secret = "topsecretsignature"

// image makes an image of a file in a folder.
func (w *world) image(s *web, folder, name string) *computepb.Image {
	w.t.Helper()
	op, err := w.images.Create(w.as("root"), &computepb.CreateImageRequest{
		FolderId: folder, Name: name, Source: &computepb.CreateImageRequest_Uri{Uri: s.put("/"+folder+name, guest(64<<10, name))},
	})
	return response[*computepb.Image](w, op, err)
}

// disk makes an empty disk in a folder.
func (w *world) disk(folder, name string) *computepb.Disk {
	w.t.Helper()
	op, err := w.disks.Create(w.as("root"), &computepb.CreateDiskRequest{FolderId: folder, Name: name, ZoneId: "z", Size: 4 << 20})
	return response[*computepb.Disk](w, op, err)
}

// nothing says whether there is a secret in a text.
func (w *world) noSecret(what, text string) {
	w.t.Helper()
	if strings.Contains(text, secret) {
		w.t.Errorf("%s tells the signature: %s", what, text)
	}
}
