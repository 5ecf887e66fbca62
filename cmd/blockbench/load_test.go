package main

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// refuser answers only every second Get.
type refuser struct {
	compute.UnimplementedImageServiceServer
	gets atomic.Int64
}

func (*refuser) List(context.Context, *compute.ListImagesRequest) (*compute.ListImagesResponse, error) {
	return &compute.ListImagesResponse{Images: []*compute.Image{{Id: "debian"}}}, nil
}

func (r *refuser) Get(context.Context, *compute.GetImageRequest) (*compute.Image, error) {
	if r.gets.Add(1)%2 == 0 {
		return nil, status.Error(codes.Internal, "broken")
	}
	return &compute.Image{Id: "debian"}, nil
}

// The times of the answers that were good are not taken for the daemon's.
func TestLoadThatIsRefusedFails(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "api")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	compute.RegisterImageServiceServer(server, &refuser{})
	go func() { _ = server.Serve(l) }() // Stop ends it
	t.Cleanup(server.Stop)
	load := []string{"load", "--endpoint", socket, "--image", "debian", "--duration", "100ms", "--callers", "2"}
	if out, err := blockbench(t, append(load, "--mix", "list=1")...); err != nil {
		t.Errorf("all answered: %v\n%s", err, out)
	}
	for _, format := range []outputFlag{outputTable, outputJSON} {
		out, err := blockbench(t, append(load, "--mix", "get=1", "-o", string(format))...)
		if err == nil || exitStatus(err) != 1 || !strings.Contains(err.Error(), "broken") {
			t.Errorf("%s: half refused: error = %v", format, err)
		}
		if !strings.Contains(out, "get") {
			t.Errorf("%s: no report, but %q", format, out)
		}
	}
}
