package compute

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/status"
)

// logged is a handler whose inner errors, of which callers learn nothing, go to
// the log.
type logged struct{ operation.Handler }

// Run carries an operation out.
func (h logged) Run(ctx context.Context, op *operation.Running) (proto.Message, error) {
	m, err := h.Handler.Run(ctx, op)
	if status.Internal(err) && context.Cause(ctx) == nil && !errors.Is(err, operation.ErrQueue) {
		op.Logger().Error("an operation failed", "reason", err)
	}
	return m, err
}

// Restore passes on to a handler that does.
func (h logged) Restore(ctx context.Context, op *operation.Running) error {
	if r, ok := h.Handler.(operation.Restorer); ok {
		return r.Restore(ctx, op)
	}
	return nil
}

// Abandon passes on to a handler that does.
func (h logged) Abandon(ctx context.Context, op *operation.Running) {
	if a, ok := h.Handler.(operation.Abandoner); ok {
		a.Abandon(ctx, op)
	}
}
