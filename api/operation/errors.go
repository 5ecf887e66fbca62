package operation

import (
	"context"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

var (
	// ErrNotFound says that no operation has the id.
	ErrNotFound = errors.New("no such operation")
	// ErrKeyReused says that an idempotency key came before with another
	// request.
	ErrKeyReused = errors.New("idempotency key was used with another request")
	// ErrFull says that the folder has as many operations waiting as it may.
	ErrFull = errors.New("too many operations are waiting")
	// ErrClosed says that the engine takes nothing any more.
	ErrClosed = errors.New("operations are closed")
	// ErrPageToken says that a page token is not one that List gave.
	ErrPageToken = errors.New("bad page token")

	// ErrKeyLost ends an operation whose request cannot be read any more.
	ErrKeyLost = errors.New("the key of the operation's request is lost: ask for it again")

	// ErrCancelled is the cause of a handler's context when somebody cancelled
	// the operation: the handler undoes what it did.
	ErrCancelled = errors.New("operation was cancelled")
	// ErrDraining is the cause of a handler's context when the engine closes:
	// the handler keeps what it will go on with, and is run again later.
	ErrDraining = errors.New("operations are being drained")
	// ErrAttempts ends an operation that was begun again and again and never came
	// to an end.
	ErrAttempts = errors.New("given up: it was begun too often without an end")
	// ErrQueue is what a handler returns for an inline operation that takes
	// longer after all: it is queued, and the handler run again.
	ErrQueue = errors.New("takes longer")
)

// plainStatus maps errors when the options name no other way.
func plainStatus(err error) *status.Status {
	if s, ok := grpcstatus.FromError(err); ok {
		return s.Proto()
	}
	code := codes.Internal
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, ErrCancelled):
		code = codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	}
	return grpcstatus.New(code, err.Error()).Proto()
}
