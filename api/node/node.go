package node

import (
	"context"

	"google.golang.org/grpc"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/status"
)

// nodeService serves blockmill.v1.NodeService.
type nodeService struct {
	blockmillpb.UnimplementedNodeServiceServer
	engine *operation.Engine
	keeper Keeper
	events *EventLog
}

// Stat says what the node holds.
func (s *nodeService) Stat(ctx context.Context, _ *blockmillpb.StatRequest) (*blockmillpb.NodeStat, error) {
	if err := auth.AllowNode(ctx); err != nil {
		return nil, status.Err(err)
	}
	st, err := s.keeper.Stat(ctx)
	if err != nil {
		return nil, status.Err(err)
	}
	waiting, active := s.engine.Load()
	st.OperationsQueued, st.OperationsRunning = int64(waiting), int64(active)
	return st, nil
}

// Scrub begins a scrub.
func (s *nodeService) Scrub(ctx context.Context, req *blockmillpb.ScrubRequest) (*blockmillpb.Started, error) {
	if err := auth.AllowNode(ctx); err != nil {
		return nil, status.Err(err)
	}
	subject, _ := auth.FromContext(ctx)
	id, err := Scrub(ctx, s.engine, subject.ID, req)
	return &blockmillpb.Started{OperationId: id}, status.Err(err)
}

// CollectGarbage begins a garbage collection.
func (s *nodeService) CollectGarbage(ctx context.Context, req *blockmillpb.CollectGarbageRequest) (*blockmillpb.Started, error) {
	if err := auth.AllowNode(ctx); err != nil {
		return nil, status.Err(err)
	}
	subject, _ := auth.FromContext(ctx)
	id, err := CollectGarbage(ctx, s.engine, subject.ID, req)
	return &blockmillpb.Started{OperationId: id}, status.Err(err)
}

// Events sends what happened of late, and then what happens.
func (s *nodeService) Events(req *blockmillpb.EventsRequest, stream grpc.ServerStreamingServer[blockmillpb.Event]) error {
	if err := auth.AllowNode(stream.Context()); err != nil {
		return status.Err(err)
	}
	for e := range s.events.Read(stream.Context(), req.GetFollow()) {
		if err := stream.Send(e); err != nil {
			return status.Err(err)
		}
	}
	return nil
}
