package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/cmd/blockmill/remote"
)

// node answers as a daemon with images of the names that it has, the place of
// each being its id.
type node struct {
	compute.UnimplementedImageServiceServer
	names []string
}

func (n *node) id(i int) string { return fmt.Sprintf("image%015d", i) }

func (n *node) Get(_ context.Context, req *compute.GetImageRequest) (*compute.Image, error) {
	for i, name := range n.names {
		if n.id(i) == req.ImageId {
			return &compute.Image{Id: n.id(i), Name: name}, nil
		}
	}
	return nil, status.Error(codes.NotFound, "no such image")
}

// List has two images a page.
func (n *node) List(_ context.Context, req *compute.ListImagesRequest) (*compute.ListImagesResponse, error) {
	r := &compute.ListImagesResponse{}
	start := 0
	_, _ = fmt.Sscan(req.PageToken, &start) // none is the first page
	for i := start; i < len(n.names); i++ {
		if len(r.Images) == 2 {
			r.NextPageToken = fmt.Sprint(i)
			break
		}
		if req.Filter == "" || req.Filter == fmt.Sprintf("name = %q", n.names[i]) {
			r.Images = append(r.Images, &compute.Image{Id: n.id(i), Name: n.names[i]})
		}
	}
	return r, nil
}

// operations end with the third look.
type operations struct {
	operation.UnimplementedOperationServiceServer
	polls atomic.Int32
	err   *rpcstatus.Status
}

func (o *operations) Get(_ context.Context, req *operation.GetOperationRequest) (*operation.Operation, error) {
	switch o.polls.Add(1) {
	case 1:
		return nil, status.Error(codes.Unavailable, "starting")
	case 2:
		return &operation.Operation{Id: req.OperationId}, nil
	}
	op := &operation.Operation{Id: req.OperationId, Done: true}
	if o.err != nil {
		op.Result = &operation.Operation_Error{Error: o.err}
	}
	return op, nil
}

func serve(t *testing.T, n *node, o *operations) *remote.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	compute.RegisterImageServiceServer(s, n)
	operation.RegisterOperationServiceServer(s, o)
	go func() { _ = s.Serve(l) }() // it ends by Stop
	t.Cleanup(s.Stop)
	c, err := remote.Dial(remote.Options{Endpoint: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // nothing is lost
	return c
}

func TestFind(t *testing.T) {
	n := &node{names: []string{"a", "b", "image000000000000077", "d", "e"}}
	c := serve(t, n, &operations{})
	for arg, want := range map[string]string{
		"a": n.id(0), "e": n.id(4), n.id(3): n.id(3),
		"image000000000000077": n.id(2), // a name of the form of an id
	} {
		img, err := c.Image(t.Context(), arg)
		if err != nil || img.Id != want {
			t.Errorf("%s: %v, %v; want %s", arg, img, err, want)
		}
	}
	for _, arg := range []string{"nobody", "image000000000000009"} {
		if _, err := c.Image(t.Context(), arg); status.Code(err) != codes.NotFound {
			t.Errorf("%s: %v", arg, err)
		}
	}
	var names []string
	for img, err := range c.ListImages(t.Context(), remote.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, img.Name)
	}
	if !slices.Equal(names, n.names) {
		t.Errorf("all images: %v, want %v", names, n.names)
	}
}

func TestWait(t *testing.T) {
	c := serve(t, &node{}, &operations{})
	op, err := c.Wait(t.Context(), &operation.Operation{Id: "one"}, nil)
	if err != nil || !op.Done {
		t.Errorf("%v, %v", op, err)
	}
	c = serve(t, &node{}, &operations{err: &rpcstatus.Status{Code: int32(codes.InvalidArgument), Message: "qcow2: corrupt"}})
	_, err = c.Wait(t.Context(), &operation.Operation{Id: "two"}, nil)
	if status.Code(err) != codes.InvalidArgument || err.Error() != "qcow2: corrupt" {
		t.Errorf("failed operation: %v", err)
	}
}

// away is a node that answers now and then, until it does no more.
type away struct {
	operation.OperationServiceClient
	until time.Time
}

func (a away) Get(context.Context, *operation.GetOperationRequest, ...grpc.CallOption) (*operation.Operation, error) {
	if now := time.Now(); now.Before(a.until) && now.Minute()%5 == 0 {
		return &operation.Operation{Id: "one"}, nil
	}
	return nil, status.Error(codes.Unavailable, "nobody listens")
}

// unwatched is a node that does not tell of operations.
type unwatched struct {
	blockmillpb.OperationServiceClient
}

func (unwatched) Watch(context.Context, *blockmillpb.WatchRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[blockmillpb.Progress], error) {
	return nil, status.Error(codes.Unimplemented, "unknown service")
}

// told is a node with an operation that takes a while and then ends, as whoever
// watches is told.
type told struct {
	operation.OperationServiceClient
	end time.Time
}

func (n told) Get(_ context.Context, req *operation.GetOperationRequest, _ ...grpc.CallOption) (*operation.Operation, error) {
	return &operation.Operation{Id: req.OperationId, Done: !time.Now().Before(n.end)}, nil
}

// teller tells of it, with the milliseconds that are left as what is to do.
type teller struct {
	blockmillpb.OperationServiceClient
	grpc.ServerStreamingClient[blockmillpb.Progress]
	end time.Time
}

func (t teller) Watch(context.Context, *blockmillpb.WatchRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[blockmillpb.Progress], error) {
	return t, nil
}

func (t teller) Recv() (*blockmillpb.Progress, error) {
	left := time.Until(t.end)
	if left <= 0 {
		return nil, io.EOF
	}
	time.Sleep(min(left, 100*time.Millisecond))
	return &blockmillpb.Progress{TotalBytes: time.Until(t.end).Milliseconds()}, nil
}

// What takes long is seen to end when it does.
func TestWaitIsTold(t *testing.T) {
	for name, watched := range map[string]bool{"watched": true, "in silence": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				end, left := time.Now().Add(5300*time.Millisecond), int64(-1)
				c := &remote.Client{Operations: told{end: end}, Progress: teller{end: end}}
				var progress func(int64, int64)
				if watched {
					progress = func(_, total int64) { left = total }
				}
				_, err := c.Wait(t.Context(), &operation.Operation{Id: "one"}, progress)
				if late := time.Since(end); err != nil || late != 0 {
					t.Errorf("%v after the end: %v", late, err)
				}
				if watched && left != 0 {
					t.Errorf("the last progress is %d ms before the end", left)
				}
			})
		})
	}
}

func TestWaitForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		c := &remote.Client{Operations: away{until: begin.Add(time.Hour)}, Progress: unwatched{}}
		_, err := c.Wait(t.Context(), &operation.Operation{Id: "one"}, nil)
		if took := time.Since(begin); status.Code(err) != codes.Unavailable || took < time.Hour || took > 75*time.Minute {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// Who interrupts a wait is told what goes on.
func TestWaitInterrupted(t *testing.T) {
	c := serve(t, &node{}, &operations{})
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	_, err := c.Wait(ctx, &operation.Operation{Id: "one"}, func(int64, int64) {})
	if err == nil || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "operation one goes on") {
		t.Errorf("interrupted: %v", err)
	}
}

func TestPlain(t *testing.T) {
	s, err := status.New(codes.InvalidArgument, "invalid request").WithDetails(&errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "name", Description: "too long"}, {Field: "labels", Description: "too many"}, {Field: "family", Description: "too long"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := serve(t, &node{}, &operations{})
	got := c.Plain(fmt.Errorf("create image x: %w", s.Err()))
	if want := "create image x: name, family: too long; labels: too many"; got.Error() != want {
		t.Errorf("%q, want %q", got, want)
	}
	if status.Code(got) != codes.InvalidArgument {
		t.Errorf("code %v", status.Code(got))
	}
}

// TestNoDaemon asks where nobody listens.
func TestNoDaemon(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "sock")
	for endpoint, why := range map[string]string{free: "connection refused", socket: "no such file or directory"} {
		c, err := remote.Dial(remote.Options{Endpoint: endpoint})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Images.Get(t.Context(), &compute.GetImageRequest{ImageId: "x"})
		got := c.Plain(fmt.Errorf("get image x: %w", err))
		if want := "get image x: no daemon answers at " + endpoint + ": " + why; got.Error() != want || status.Code(got) != codes.Unavailable {
			t.Errorf("%q, want %q", got, want)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestEndpoints(t *testing.T) {
	for _, e := range []string{"nohost", "host:1:2"} {
		if _, err := remote.Dial(remote.Options{Endpoint: e}); err == nil {
			t.Errorf("endpoint %s is taken", e)
		}
	}
	token := filepath.Join(t.TempDir(), "token")
	_, err := remote.Dial(remote.Options{Endpoint: "node.example:9440", TokenFile: token})
	if err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("a token without TLS to another machine: %v", err)
	}
}
