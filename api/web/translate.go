package web

import (
	"cmp"
	"context"
	"slices"
	"time"

	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/blockmill/blockmill/api/blockmillpb"
)

// shardOK is the state of a shard that is in order.
const shardOK = "ok"

func savings(n *blockmillpb.NodeStat) Savings {
	return Savings{
		VirtualBytes: n.LogicalBytes, DataBytes: n.DataBytes, UniqueBytes: n.UniqueBytes,
		StoredBytes: n.StoredBytes, ReclaimableBytes: n.ReclaimableBytes, Chunks: n.Chunks,
	}
}

func redundancy(n *blockmillpb.NodeStat) Redundancy {
	r := Redundancy{Data: int(n.DataShards), Parity: int(n.ParityShards), Survives: int(n.ParityShards)}
	for _, sh := range n.Shards {
		shard := Shard{Index: int(sh.Index), State: sh.State, OK: sh.State == shardOK, Error: sh.Reason, Bytes: sh.UsedBytes}
		if sh.FreeBytes > 0 {
			shard.SizeBytes, shard.FreeBytes = sh.UsedBytes+sh.FreeBytes, sh.FreeBytes
		}
		if !shard.OK {
			r.Survives--
		}
		r.Shards = append(r.Shards, shard)
	}
	r.Survives = max(r.Survives, -1)
	if n.LastScrub != nil {
		t := n.LastScrub.AsTime()
		r.LastScrub = &t
	}
	return r
}

func imageOf(img *compute.Image) Image {
	return Image{
		ID: img.Id, Name: img.Name, Folder: img.FolderId, Family: img.Family, Status: img.Status.String(),
		VirtualSize: img.Size, StorageSize: img.StorageSize, Pooled: img.Pooled, CreatedAt: img.CreatedAt.AsTime(),
	}
}

// addOperations adds the latest operations of a folder, with the progress of
// those that run.
func (s *Services) addOperations(ctx context.Context, folder string, out *Status) error {
	list, err := s.Operations.List(ctx, &blockmillpb.ListOperationsRequest{FolderId: folder, PageSize: maxOperations})
	if hidden(err) {
		return nil
	}
	if err != nil {
		return refused("operations", err)
	}
	for _, packed := range list.Operations {
		var op operation.Operation
		if err := packed.UnmarshalTo(&op); err != nil {
			return refused("operations", err)
		}
		shown := operationOf(&op)
		if !op.Done {
			p := s.progress(ctx, op.Id)
			shown.Done, shown.Total = p.GetDoneBytes(), p.GetTotalBytes()
		}
		out.Operations = append(out.Operations, shown)
	}
	return nil
}

func operationOf(op *operation.Operation) Operation {
	out := Operation{
		ID: op.Id, Description: op.Description, ResourceID: resourceOf(op.Metadata), State: "running",
		CreatedAt: op.CreatedAt.AsTime(), ModifiedAt: op.ModifiedAt.AsTime(),
	}
	e := op.GetError()
	switch {
	case !op.Done:
	case e == nil:
		out.State = "done"
	case codes.Code(e.Code) == codes.Canceled:
		out.State = "cancelled"
	default:
		out.State, out.Error = "failed", e.Message
	}
	return out
}

// resourceOf is the id in an operation's metadata of what is made or changed: that
// of a snapshot has its disk's too.
func resourceOf(metadata *anypb.Any) string {
	m, err := metadata.UnmarshalNew()
	if err != nil {
		return ""
	}
	fields := m.ProtoReflect().Descriptor().Fields()
	for _, name := range []string{"snapshot_id", "image_id", "disk_id"} {
		for i := range fields.Len() {
			if f := fields.Get(i); string(f.Name()) == name {
				return m.ProtoReflect().Get(f).String()
			}
		}
	}
	return ""
}

// latest are the operations that run and then the newest of the others.
func latest(all []Operation) []Operation {
	slices.SortStableFunc(all, func(a, b Operation) int {
		return cmp.Or(running(b)-running(a), b.CreatedAt.Compare(a.CreatedAt))
	})
	return all[:min(len(all), maxOperations)]
}

func running(o Operation) int {
	if o.State == "running" {
		return 1
	}
	return 0
}

// progressTime bounds how long the page waits for an operation to say how far
// it is.
const progressTime = 200 * time.Millisecond

// progress is how far an operation is, nil when it does not say.
func (s *Services) progress(ctx context.Context, id string) *blockmillpb.Progress {
	ctx, cancel := context.WithTimeout(ctx, progressTime)
	defer cancel()
	stream := &firstMessage{ctx: ctx}
	_ = s.Operations.Watch(&blockmillpb.WatchRequest{OperationId: id}, stream) // errEnough, or there is nothing to show
	return stream.got
}

// firstMessage is a stream that takes one message and ends.
type firstMessage struct {
	grpc.ServerStream
	ctx context.Context
	got *blockmillpb.Progress
}

func (f *firstMessage) Context() context.Context { return f.ctx }

func (f *firstMessage) Send(p *blockmillpb.Progress) error {
	f.got = p
	return errEnough
}
