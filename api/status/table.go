package status

import (
	"context"
	"syscall"

	"google.golang.org/grpc/codes"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/filter"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/convert/badimage"
	"github.com/blockmill/blockmill/convert/fetch"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/lazy"
	"github.com/blockmill/blockmill/pool/provision"
	"github.com/blockmill/blockmill/pool/ready"
)

// line is what one sentinel means for a caller.
type line struct {
	err  error
	code codes.Code
	// text is said in place of the error's own, which tells of the node's
	// insides; empty when it does not.
	text string
}

// table is all that is told apart.
func table() []line {
	return []line{
		{operation.ErrCancelled, codes.Canceled, "operation was cancelled"},
		{operation.ErrNotFound, codes.NotFound, ""},
		{operation.ErrKeyReused, codes.InvalidArgument, ""},
		{operation.ErrPageToken, codes.InvalidArgument, ""},
		{operation.ErrFull, codes.ResourceExhausted, ""},
		{operation.ErrClosed, codes.Unavailable, "the node is stopping"},
		{operation.ErrDraining, codes.Unavailable, "the node is stopping"},

		{auth.ErrUnauthenticated, codes.Unauthenticated, ""},
		{auth.ErrHidden, codes.NotFound, ""},
		{auth.ErrDenied, codes.PermissionDenied, ""},

		{filter.ErrToken, codes.InvalidArgument, ""},

		{pool.ErrNotFound, codes.NotFound, ""},
		{pool.ErrNameTaken, codes.AlreadyExists, ""},
		{pool.ErrName, codes.InvalidArgument, ""},
		{pool.ErrMinDiskSize, codes.InvalidArgument, ""},
		{pool.ErrFormatRefused, codes.InvalidArgument, ""},
		{pool.ErrNotReady, codes.FailedPrecondition, ""},
		{pool.ErrDigest, codes.FailedPrecondition, ""},

		{pool.ErrDiskSize, codes.InvalidArgument, ""},
		{pool.ErrInUse, codes.FailedPrecondition, ""},
		{pool.ErrNotPooled, codes.FailedPrecondition, ""},
		{pool.ErrNoDisks, codes.FailedPrecondition, ""},
		{provision.ErrShrink, codes.InvalidArgument, ""},
		{provision.ErrMethod, codes.FailedPrecondition, ""},
		{provision.ErrNoSpace, codes.ResourceExhausted, "the node's disk directories are full"},
		{provision.ErrMissing, codes.DataLoss, "the files of the disk are missing"},
		{ready.ErrSettings, codes.InvalidArgument, ""},
		{ready.ErrNoPool, codes.NotFound, ""},

		{fetch.ErrURL, codes.InvalidArgument, ""},
		{fetch.ErrForbidden, codes.InvalidArgument, ""},
		{fetch.ErrTooLarge, codes.InvalidArgument, ""},
		{fetch.ErrChanged, codes.FailedPrecondition, ""},
		{fetch.ErrGone, codes.FailedPrecondition, ""},
		{fetch.ErrProtocol, codes.FailedPrecondition, ""},
		{fetch.ErrNoRanges, codes.FailedPrecondition, ""},
		{fetch.ErrChecksum, codes.FailedPrecondition, ""},
		{fetch.ErrTemporary, codes.Unavailable, ""},
		{fetch.ErrClosed, codes.Canceled, "the source was closed"},

		{badimage.ErrCorrupt, codes.InvalidArgument, ""},
		{badimage.ErrUnsupported, codes.InvalidArgument, ""},
		{convert.ErrFormat, codes.InvalidArgument, ""},

		{cas.ErrCorrupt, codes.DataLoss, "stored data is damaged"},
		{cas.ErrUnindexed, codes.DataLoss, "stored data is not in the index"},
		{lazy.ErrCorrupt, codes.DataLoss, "the disk's map is damaged"},
		{lazy.ErrVersion, codes.FailedPrecondition, "a later version wrote the disk's map"},
		{lazy.ErrPoisoned, codes.DataLoss, "the disk could not be made durable"},
		{cas.ErrDegraded, codes.FailedPrecondition, "too few shards of the store are there for a change"},
		{cas.ErrClosed, codes.Unavailable, "the node is stopping"},
		{cas.ErrNotFound, codes.FailedPrecondition, "the source was deleted"},

		{syscall.ENOSPC, codes.ResourceExhausted, "the node's storage is full"},
		{syscall.EDQUOT, codes.ResourceExhausted, "the node's storage is full"},
		{context.DeadlineExceeded, codes.DeadlineExceeded, "the time for it was over"},
		{context.Canceled, codes.Canceled, "the call was cancelled"},
	}
}
