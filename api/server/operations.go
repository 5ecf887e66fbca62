package server

import (
	"context"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/rules"
)

// Operations serves yandex.cloud.operation.OperationService.
type Operations struct {
	opb.UnimplementedOperationServiceServer
	Engine *operation.Engine
}

// Get gives an operation.
func (o *Operations) Get(ctx context.Context, req *opb.GetOperationRequest) (*opb.Operation, error) {
	if err := rules.Check(req); err != nil {
		return nil, err
	}
	if err := operation.Allow(ctx, o.Engine, auth.Viewer, req.GetOperationId()); err != nil {
		return nil, err
	}
	return o.Engine.Get(req.GetOperationId())
}

// Cancel asks for an operation's end and gives it as it is then.
func (o *Operations) Cancel(ctx context.Context, req *opb.CancelOperationRequest) (*opb.Operation, error) {
	if err := rules.Check(req); err != nil {
		return nil, err
	}
	if err := operation.Allow(ctx, o.Engine, auth.Editor, req.GetOperationId()); err != nil {
		return nil, err
	}
	return o.Engine.Cancel(ctx, req.GetOperationId())
}
