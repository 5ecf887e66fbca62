package load_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/blockmill/blockmill/bench/load"
	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

// node answers as a daemon does: a disk is there at the second look.
type node struct {
	compute.UnimplementedDiskServiceServer
	deleted chan string
}

func (n *node) Create(_ context.Context, r *compute.CreateDiskRequest) (*operation.Operation, error) {
	if r.FolderId != "here" || r.GetImageId() != "debian" || r.Name == "" {
		return nil, status.Error(codes.InvalidArgument, "not what was asked for")
	}
	return &operation.Operation{Id: "op-" + r.Name}, nil
}

func (n *node) Delete(_ context.Context, r *compute.DeleteDiskRequest) (*operation.Operation, error) {
	select {
	case n.deleted <- r.DiskId:
	default:
	}
	return &operation.Operation{}, nil
}

// images keeps the two services' equal method names apart.
type images struct {
	compute.UnimplementedImageServiceServer
}

func (images) Get(_ context.Context, r *compute.GetImageRequest) (*compute.Image, error) {
	if r.ImageId != "debian" {
		return nil, status.Error(codes.NotFound, "no such image")
	}
	return &compute.Image{Id: r.ImageId}, nil
}

type operations struct {
	operation.UnimplementedOperationServiceServer
}

func (operations) Get(_ context.Context, r *operation.GetOperationRequest) (*operation.Operation, error) {
	disk, err := anypb.New(&compute.Disk{Id: "disk-of-" + r.OperationId})
	return &operation.Operation{Id: r.OperationId, Done: true, Result: &operation.Operation_Response{Response: disk}}, err
}

func dial(t *testing.T, n *node) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	compute.RegisterImageServiceServer(server, images{})
	compute.RegisterDiskServiceServer(server, n)
	operation.RegisterOperationServiceServer(server, operations{})
	go func() { _ = server.Serve(l) }() // Stop ends it
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestAPI(t *testing.T) {
	n := &node{deleted: make(chan string, 1)}
	acts := load.API(load.Target{Conn: dial(t, n), Folder: "here", Image: "debian"})
	for i := range acts {
		if acts[i].Name == "get" || acts[i].Name == "disk" {
			acts[i].Weight = 1
		}
	}
	r := run(t, len(acts), load.Options{Acts: acts, Callers: 4, Duration: 300 * time.Millisecond})
	if r.Errors > 0 || len(r.Acts) != 2 {
		t.Errorf("report = %+v", r)
	}
	if id := <-n.deleted; len(id) < len("disk-of-op-load-") {
		t.Errorf("disk %q was deleted", id)
	}
}

// run runs until there were so many requests: the time may be over before, on a
// machine that is busy.
func run(t *testing.T, requests int, opts load.Options) load.Report {
	t.Helper()
	for {
		r, err := load.Run(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		if r.Requests >= requests {
			return r
		}
		opts.Duration *= 2
	}
}

// The reader against a real server.
func TestExport(t *testing.T) {
	if _, err := exec.LookPath("nbdkit"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("nbdkit is not installed")
	}
	socket := filepath.Join(t.TempDir(), "nbd")
	server := exec.CommandContext(t.Context(), "nbdkit", "-f", "-U", socket, "memory", "1M")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // it was killed
	})
	deadline := time.NewTimer(2 * time.Minute)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for up := false; !up; {
		select {
		case <-ticker.C:
			_, err := os.Stat(socket)
			up = err == nil
		case <-deadline.C:
			t.Fatal("nbdkit does not listen")
		}
	}
	e, err := load.OpenExport(t.Context(), "unix", socket, "", 4096)
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, 100, load.Options{
		Acts: []load.Act{{Name: "read", Weight: 1, Do: e.Read}}, Callers: 8, Duration: 200 * time.Millisecond,
	})
	if r.Errors > 0 {
		t.Errorf("report = %+v", r)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := e.Read(t.Context()); err == nil {
		t.Error("a read after Close succeeded")
	}
	if _, err := load.OpenExport(t.Context(), "unix", socket, "", 2<<20); err == nil {
		t.Error("a read larger than the export was taken")
	}
}
