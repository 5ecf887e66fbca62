package node

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/api/operation"
)

// The kinds of the node's own operations.
const (
	scrubKind   = "node.scrub"
	garbageKind = "node.gc"
)

// scrubHandler carries out scrubs.
type scrubHandler struct{ keeper Keeper }

// Run scrubs. After a restart the scrub goes on where it was.
func (h scrubHandler) Run(ctx context.Context, op *operation.Running) (proto.Message, error) {
	req := new(blockmillpb.ScrubRequest)
	if err := op.Request(req); err != nil {
		return nil, err
	}
	report, err := h.keeper.Scrub(ctx, req, op.Progress)
	if err != nil {
		return nil, err
	}
	return report, nil
}

// garbageHandler carries out garbage collections.
type garbageHandler struct{ keeper Keeper }

// Run collects garbage.
func (h garbageHandler) Run(ctx context.Context, op *operation.Running) (proto.Message, error) {
	req := new(blockmillpb.CollectGarbageRequest)
	if err := op.Request(req); err != nil {
		return nil, err
	}
	report, err := h.keeper.CollectGarbage(ctx, req)
	if err != nil {
		return nil, err
	}
	return report, nil
}

// Scrub begins a scrub for a caller, which may be the node itself, and gives the
// id of its operation.
func Scrub(ctx context.Context, e *operation.Engine, by string, req *blockmillpb.ScrubRequest) (string, error) {
	return begin(ctx, e, operation.Spec{Kind: scrubKind, Description: "Scrub the node", CreatedBy: by, Request: req, Metadata: req})
}

// CollectGarbage begins a garbage collection, as Scrub does with scrubs.
func CollectGarbage(ctx context.Context, e *operation.Engine, by string, req *blockmillpb.CollectGarbageRequest) (string, error) {
	return begin(ctx, e, operation.Spec{Kind: garbageKind, Description: "Collect garbage", CreatedBy: by, Request: req, Metadata: req})
}

func begin(ctx context.Context, e *operation.Engine, s operation.Spec) (string, error) {
	op, err := e.Submit(ctx, s)
	return op.GetId(), err
}
