package server

import (
	"context"
	"fmt"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/pool"
)

// Operations serves yandex.cloud.operation.OperationService.
type Operations struct {
	opb.UnimplementedOperationServiceServer
	Engine *operation.Engine
}

// Get gives an operation.
func (o *Operations) Get(ctx context.Context, req *opb.GetOperationRequest) (*opb.Operation, error) {
	if err := allowOperation(ctx, o.Engine, auth.Viewer, req.GetOperationId()); err != nil {
		return nil, err
	}
	return o.Engine.Get(req.GetOperationId())
}

// Cancel asks for an operation's end and gives it as it is then.
func (o *Operations) Cancel(ctx context.Context, req *opb.CancelOperationRequest) (*opb.Operation, error) {
	if err := allowOperation(ctx, o.Engine, auth.Editor, req.GetOperationId()); err != nil {
		return nil, err
	}
	return o.Engine.Cancel(ctx, req.GetOperationId())
}

// allowOperation says whether the caller has a role on an operation's folder, or
// submitted it. To others it does not exist.
func allowOperation(ctx context.Context, e *operation.Engine, need auth.Role, id string) error {
	info, err := e.Info(id)
	if err != nil {
		return err
	}
	if s, ok := auth.FromContext(ctx); ok && s.ID == info.CreatedBy {
		return nil
	}
	if err := auth.Allow(ctx, need, pool.FolderID(info.Folder), nil); err != nil {
		if s, ok := auth.FromContext(ctx); ok && s.Role(pool.FolderID(info.Folder), nil) == auth.None {
			return fmt.Errorf("operation %q: %w", id, operation.ErrNotFound)
		}
		return err
	}
	return nil
}
