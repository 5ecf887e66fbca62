package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The time between two looks at an operation grows from the first to the
// second, so that short ones are seen to end at once and long ones cost nothing.
// Those that have come to the third are watched: the node tells of their end.
const (
	firstPoll = 5 * time.Millisecond
	lastPoll  = time.Second
	watchPoll = 80 * time.Millisecond
)

// awayMost is how long the node may give no answer: it starts within that, with
// whatever it has.
const awayMost = 10 * time.Minute

// errInterrupted says that the caller's context has ended.
var errInterrupted = errors.New("interrupted")

// OperationError is the failure of an operation that was begun.
type OperationError struct {
	Operation string
	Status    *status.Status
}

func (e *OperationError) Error() string { return e.Status.Message() }

// GRPCStatus makes status.Code tell the code of the failure.
func (e *OperationError) GRPCStatus() *status.Status { return e.Status }

// Wait follows an operation until it is done: an *OperationError when it failed.
// Progress, when set, is called with the bytes done and to do as they are told.
// When ctx ends, the operation goes on; so it does when the node gives no answer for
// ten minutes, which is Unavailable.
func (c *Client) Wait(ctx context.Context, op *operation.Operation, progress func(done, total int64)) (*operation.Operation, error) {
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	defer watcher.Wait()
	defer stop()
	var told chan struct{}
	heard := time.Now()
	for wait := firstPoll; !op.Done; wait = min(2*wait, lastPoll) {
		if wait == watchPoll {
			id, ended := op.Id, make(chan struct{})
			told = ended
			watcher.Go(func() {
				defer close(ended)
				c.watch(watching, id, progress)
			})
		}
		select {
		case <-ctx.Done():
			return op, fmt.Errorf("%w: operation %s goes on", errInterrupted, op.Id)
		case <-told:
			told = nil // a node that does not tell is asked as before
		case <-time.After(wait):
		}
		next, err := c.Operations.Get(ctx, &operation.GetOperationRequest{OperationId: op.Id})
		switch {
		case ctx.Err() != nil:
		case status.Code(err) == codes.Unavailable && time.Since(heard) < awayMost: // it may be starting again
		case err != nil:
			return op, fmt.Errorf("wait for operation %s: %w", op.Id, err)
		default:
			op, heard = next, time.Now()
		}
	}
	if e := op.GetError(); e != nil {
		return op, &OperationError{op.Id, status.FromProto(e)}
	}
	return op, nil
}
