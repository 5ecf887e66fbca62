package node_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/pool"
)

const nowhere = "aaaaaaaaaaaaaaaaaaaa"

// TestWhoMayWhat calls everything as everybody: what may not be seen is answered
// as what does not exist, to the letter.
func TestWhoMayWhat(t *testing.T) {
	w := newWorld(t)
	img := w.image("f", true)
	disk, err := w.node.CreateDisk(t.Context(), pool.Disk{Meta: pool.Meta[pool.DiskID]{Folder: "f"}, Size: 4 << 20, Source: pool.Source{Image: img.ID}})
	if err != nil {
		t.Fatal(err)
	}
	pools, disks := blockmillpb.NewPoolServiceClient(w.conn), blockmillpb.NewDiskServiceClient(w.conn)
	operations, operators := blockmillpb.NewOperationServiceClient(w.conn), blockmillpb.NewNodeServiceClient(w.conn)
	scrub, err := operators.Scrub(w.as("root"), &blockmillpb.ScrubRequest{Repair: true})
	if err != nil {
		t.Fatal(err)
	}
	ok, gone, denied := codes.OK, codes.NotFound, codes.PermissionDenied
	for _, c := range []struct {
		name string
		id   string
		call func(ctx context.Context, id string) error
		want [4]codes.Code // root, edgar, victor, mallory
		ids  bool          // whether an unknown id is NOT_FOUND
	}{
		{"pools", "f", func(ctx context.Context, id string) error {
			_, err := pools.List(ctx, &blockmillpb.ListPoolsRequest{FolderId: id})
			return err
		}, [4]codes.Code{ok, ok, ok, gone}, false},
		{"pool", string(img.ID), func(ctx context.Context, id string) error {
			_, err := pools.Get(ctx, &blockmillpb.GetPoolRequest{ImageId: id})
			return err
		}, [4]codes.Code{ok, ok, ok, gone}, true},
		{"set pool", string(img.ID), func(ctx context.Context, id string) error {
			_, err := pools.Set(ctx, &blockmillpb.SetPoolRequest{ImageId: id, Max: proto.Int64(4)})
			return err
		}, [4]codes.Code{ok, ok, denied, gone}, true},
		{"attach", string(disk.ID), func(ctx context.Context, id string) error {
			_, err := disks.Attach(ctx, &blockmillpb.AttachRequest{DiskId: id})
			return err
		}, [4]codes.Code{ok, ok, denied, gone}, true},
		{"operations", "f", func(ctx context.Context, id string) error {
			_, err := operations.List(ctx, &blockmillpb.ListOperationsRequest{FolderId: id, PageSize: -1})
			return err
		}, [4]codes.Code{ok, ok, ok, gone}, false},
		{"watch", scrub.GetOperationId(), func(ctx context.Context, id string) error {
			s, err := operations.Watch(ctx, &blockmillpb.WatchRequest{OperationId: id})
			if err == nil {
				_, err = s.Recv()
			}
			return err
		}, [4]codes.Code{ok, gone, gone, gone}, true},
		{"stat", "", func(ctx context.Context, _ string) error {
			_, err := operators.Stat(ctx, &blockmillpb.StatRequest{})
			return err
		}, [4]codes.Code{ok, denied, denied, denied}, false},
		{"scrub", "", func(ctx context.Context, _ string) error {
			_, err := operators.Scrub(ctx, &blockmillpb.ScrubRequest{})
			return err
		}, [4]codes.Code{ok, denied, denied, denied}, false},
		{"collect", "", func(ctx context.Context, _ string) error {
			_, err := operators.CollectGarbage(ctx, &blockmillpb.CollectGarbageRequest{})
			return err
		}, [4]codes.Code{ok, denied, denied, denied}, false},
		{"events", "", func(ctx context.Context, _ string) error {
			w.events.Add("test.call", "", "")
			s, err := operators.Events(ctx, &blockmillpb.EventsRequest{})
			if err == nil {
				_, err = s.Recv()
			}
			return err
		}, [4]codes.Code{ok, denied, denied, denied}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(w.t.Context())
			defer cancel()
			for i, who := range []string{"root", "edgar", "victor", "mallory"} {
				err := c.call(w.as(who), c.id)
				if got := grpcstatus.Code(err); got != c.want[i] {
					t.Errorf("%s gets %v, want %v", who, err, c.want[i])
				}
				if c.want[i] != gone || !c.ids {
					continue
				}
				unknown := c.call(w.as(who), nowhere)
				if want := strings.ReplaceAll(grpcstatus.Convert(unknown).Message(), nowhere, c.id); grpcstatus.Convert(err).Message() != want {
					t.Errorf("%s tells what is hidden from what is not there: %v and %v", who, err, unknown)
				}
			}
			for _, id := range []string{c.id, nowhere} {
				err := c.call(ctx, id)
				if got := grpcstatus.Convert(err); got.Code() != codes.Unauthenticated || strings.Contains(got.Message(), id) != (id == "") {
					t.Errorf("nobody asks for %q and gets %v", id, err)
				}
			}
		})
	}
	close(w.keeper.scrubbed)
}

// What callers change of a pool at the same time is all changed.
func TestPoolIsChangedByMany(t *testing.T) {
	w := newWorld(t)
	id := string(w.image("f", true).ID)
	c := blockmillpb.NewPoolServiceClient(w.conn)
	for i := range int64(300) {
		var all sync.WaitGroup
		for _, req := range []*blockmillpb.SetPoolRequest{
			{ImageId: id, Max: proto.Int64(10 + i)}, {ImageId: id, IdleSeconds: proto.Int64(60 + i)}, {ImageId: id, Min: proto.Int64(i % 2)},
		} {
			all.Go(func() {
				if _, err := c.Set(w.as("root"), req); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		got := must[*blockmillpb.Pool](t)(c.Get(w.as("root"), &blockmillpb.GetPoolRequest{ImageId: id}))
		if got.GetMax() != 10+i || got.GetIdleSeconds() != 60+i || got.GetMin() != i%2 {
			t.Fatalf("after change %d: at most %d, at least %d, idle after %d s", i, got.GetMax(), got.GetMin(), got.GetIdleSeconds())
		}
	}
}

// TestPools changes a pool step by step.
func TestPools(t *testing.T) {
	w := newWorld(t)
	img, plain := w.image("f", true), w.image("f", false)
	c := blockmillpb.NewPoolServiceClient(w.conn)
	set := func(req *blockmillpb.SetPoolRequest) *blockmillpb.Pool {
		t.Helper()
		req.ImageId = string(img.ID)
		return must[*blockmillpb.Pool](t)(c.Set(w.as("edgar"), req))
	}
	set(&blockmillpb.SetPoolRequest{Min: proto.Int64(1), Max: proto.Int64(3)})
	if got := set(&blockmillpb.SetPoolRequest{IdleSeconds: proto.Int64(1 << 60)}); got.GetIdleSeconds() < 1<<32 {
		t.Errorf("idle after %d s, which is another time than the one that was set", got.GetIdleSeconds())
	}
	set(&blockmillpb.SetPoolRequest{IdleSeconds: proto.Int64(60)})
	got := set(&blockmillpb.SetPoolRequest{Capacity: proto.Int64(2)})
	if got.GetMin() != 1 || got.GetMax() != 3 || got.GetCapacity() != 2 || got.GetIdleSeconds() != 60 {
		t.Errorf("settings: %v", got)
	}
	if want := string(w.node.ReadyMethod()); got.GetMethod() != want || want == "" {
		t.Errorf("method %q, want %q", got.GetMethod(), want)
	}
	list := must[*blockmillpb.ListPoolsResponse](t)(c.List(w.as("victor"), &blockmillpb.ListPoolsRequest{FolderId: "f"}))
	if len(list.GetPools()) != 1 || list.GetPools()[0].GetImageId() != string(img.ID) {
		t.Errorf("list: %v", list)
	}
	_, err := c.Set(w.as("edgar"), &blockmillpb.SetPoolRequest{ImageId: string(img.ID), Min: proto.Int64(5)})
	var fields []string
	for _, d := range grpcstatus.Convert(err).Details() {
		for _, v := range d.(*errdetails.BadRequest).GetFieldViolations() {
			fields = append(fields, v.GetField())
		}
	}
	if grpcstatus.Code(err) != codes.InvalidArgument || !slices.Equal(fields, []string{"min", "max"}) {
		t.Errorf("a minimum beyond the maximum: %v, blames %q", err, fields)
	}
	if _, err := c.Get(w.as("edgar"), &blockmillpb.GetPoolRequest{ImageId: string(plain.ID)}); grpcstatus.Code(err) != codes.NotFound {
		t.Errorf("the pool of an image that has none: %v", err)
	}
}

// TestUpkeep scrubs and collects garbage, and watches.
func TestUpkeep(t *testing.T) {
	w := newWorld(t)
	c, operations := blockmillpb.NewNodeServiceClient(w.conn), blockmillpb.NewOperationServiceClient(w.conn)
	scrub := must[*blockmillpb.Started](t)(c.Scrub(w.as("root"), &blockmillpb.ScrubRequest{Repair: true, Full: true}))
	watch, err := operations.Watch(w.as("root"), &blockmillpb.WatchRequest{OperationId: scrub.GetOperationId()})
	if err != nil {
		t.Fatal(err)
	}
	for {
		p := must[*blockmillpb.Progress](t)(watch.Recv())
		if p.GetDoneBytes() == 3 && p.GetTotalBytes() == 10 {
			break
		}
	}
	close(w.keeper.scrubbed)
	for done := false; !done; {
		done = must[*blockmillpb.Progress](t)(watch.Recv()).GetDone()
	}
	report := new(blockmillpb.ScrubReport)
	w.end(scrub, report)
	if report.GetReadBytes() != 10 {
		t.Errorf("scrub: %v", report)
	}
	want := []*blockmillpb.ScrubRequest{{Repair: true, Full: true}}
	if diff := cmp.Diff(want, w.keeper.scrubs, protocmp.Transform()); diff != "" {
		t.Errorf("scrubs: %s", diff)
	}
	garbage := new(blockmillpb.GarbageReport)
	w.end(must[*blockmillpb.Started](t)(c.CollectGarbage(w.as("root"), &blockmillpb.CollectGarbageRequest{Recompress: true})), garbage)
	if garbage.GetSegments() != 2 {
		t.Errorf("collection: %v", garbage)
	}
}

// end waits for the end of an operation, which must be a good one.
func (w *world) end(s *blockmillpb.Started, response proto.Message) {
	w.t.Helper()
	op := must[*opb.Operation](w.t)(w.operations.Wait(w.t.Context(), s.GetOperationId()))
	if err := op.GetResponse().UnmarshalTo(response); err != nil {
		w.t.Errorf("%v: %v", op, err)
	}
}

// TestCreateFromFile hands over what the request wraps, and refuses other things.
func TestCreateFromFile(t *testing.T) {
	w := newWorld(t)
	c := blockmillpb.NewImageServiceClient(w.conn)
	want := &computepb.CreateImageRequest{FolderId: "f", Name: "one"}
	packed := must[*anypb.Any](t)(anypb.New(want))
	started := must[*blockmillpb.Started](t)(c.CreateFromFile(w.as("edgar"), &blockmillpb.CreateFromFileRequest{Path: "/disk", Image: packed}))
	if started.GetOperationId() != "op" || w.files.path != "/disk" || !proto.Equal(want, w.files.image) {
		t.Errorf("%v: %s, %v", started, w.files.path, w.files.image)
	}
	wrong := must[*anypb.Any](t)(anypb.New(&computepb.DeleteImageRequest{ImageId: nowhere}))
	for _, image := range []*anypb.Any{nil, wrong, {TypeUrl: packed.GetTypeUrl(), Value: []byte{0xff}}} {
		if _, err := c.CreateFromFile(w.as("edgar"), &blockmillpb.CreateFromFileRequest{Image: image}); grpcstatus.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v", image, err)
		}
	}
}
