package node

import (
	"context"
	"fmt"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/rules"
	"github.com/blockmill/blockmill/api/status"
)

// operationService serves blockmill.v1.OperationService.
type operationService struct {
	blockmillpb.UnimplementedOperationServiceServer
	engine *operation.Engine
}

// Watch sends an operation's progress until it is done.
func (s *operationService) Watch(req *blockmillpb.WatchRequest, stream grpc.ServerStreamingServer[blockmillpb.Progress]) error {
	if err := rules.Check(req); err != nil {
		return err
	}
	if err := operation.Allow(stream.Context(), s.engine, auth.Viewer, req.GetOperationId()); err != nil {
		return status.Err(err)
	}
	for p, err := range s.engine.Watch(stream.Context(), req.GetOperationId()) {
		if err != nil {
			return status.Err(err)
		}
		err := stream.Send(&blockmillpb.Progress{DoneBytes: p.Done, TotalBytes: p.Total, Done: p.Stage == operation.Done})
		if err != nil {
			return status.Err(err)
		}
	}
	return nil
}

// maxPage is the longest page of operations.
const maxPage = 1000

// List lists the operations of a folder.
func (s *operationService) List(ctx context.Context, req *blockmillpb.ListOperationsRequest) (*blockmillpb.ListOperationsResponse, error) {
	if err := rules.Check(req); err != nil {
		return nil, err
	}
	if err := allowedFolder(ctx, req.GetFolderId(), auth.Viewer, auth.Every); err != nil {
		return nil, status.Err(err)
	}
	page, next, err := s.engine.List(operation.Query{
		Folder: req.GetFolderId(), Size: int(min(req.GetPageSize(), maxPage)), Token: req.GetPageToken(), Pending: req.GetRunning(),
	})
	if err != nil {
		return nil, status.Err(err)
	}
	packed, err := packOperations(page)
	return &blockmillpb.ListOperationsResponse{Operations: packed, NextPageToken: next}, status.Err(err)
}

func packOperations(page []*opb.Operation) ([]*anypb.Any, error) {
	packed := make([]*anypb.Any, len(page))
	for i, op := range page {
		var err error
		if packed[i], err = anypb.New(op); err != nil {
			return nil, fmt.Errorf("list operation %s: %w", op.GetId(), err)
		}
	}
	return packed, nil
}
