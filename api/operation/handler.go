package operation

import (
	"context"
	"runtime/debug"

	"google.golang.org/protobuf/proto"
)

// Handler does the work of one kind of operation.
type Handler interface {
	// Run carries an operation out and gives its response. It is run again
	// after a restart. When it returns nothing of it is at work any more; after
	// an error nothing is left, unless the context's cause is ErrDraining:
	// then what the next run goes on with is kept.
	Run(ctx context.Context, op *Running) (proto.Message, error)
}

// Restorer is a Handler that holds something in memory for operations that
// wait, such as a reserved name. Restore takes it again after a restart: it is
// called for each such operation in the order in which they were submitted,
// before any is run. Its error ends the operation.
type Restorer interface {
	Restore(ctx context.Context, op *Running) error
}

// Abandoner is a Handler with something to undo when an operation ends that is
// not run, or not run again, or whose handler panicked: what was reserved for
// it, and what the next run would have gone on with.
type Abandoner interface {
	Abandon(ctx context.Context, op *Running)
}

// HandlerFunc is a Handler that is a function.
type HandlerFunc func(ctx context.Context, op *Running) (proto.Message, error)

// Run calls f.
func (f HandlerFunc) Run(ctx context.Context, op *Running) (proto.Message, error) { return f(ctx, op) }

// restore calls a handler's Restore, if it has one.
func restore(ctx context.Context, h Handler, op *Running) error {
	if r, ok := h.(Restorer); ok {
		return r.Restore(ctx, op)
	}
	return nil
}

// abandon calls a handler's Abandon, if it has one. It may come after a panic, and
// panic itself.
func abandon(ctx context.Context, h Handler, op *Running) {
	defer func() {
		if p := recover(); p != nil {
			op.Logger().Error("what an operation held may be left over", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	if a, ok := h.(Abandoner); ok {
		a.Abandon(ctx, op)
	}
}
