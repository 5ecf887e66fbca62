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
	// field is what of the request is to blame; empty when no one field is, or the
	// error knows which.
	field string
	// reason tells the error from others of its code, for programs; empty where the
	// code says enough. Clients compare it: it stays as it is.
	reason string
}

// table is all that is told apart.
func table() []line {
	return []line{
		{err: operation.ErrCancelled, code: codes.Canceled, text: "operation was cancelled"},
		{err: operation.ErrNotFound, code: codes.NotFound},
		{err: operation.ErrKeyReused, code: codes.InvalidArgument, field: "idempotency-key"},
		{err: operation.ErrPageToken, code: codes.InvalidArgument, field: "page_token"},
		{err: operation.ErrAttempts, code: codes.Aborted},
		{err: operation.ErrFull, code: codes.ResourceExhausted},
		{err: operation.ErrKeyLost, code: codes.DataLoss},
		{err: operation.ErrClosed, code: codes.Unavailable, text: "the node is stopping"},
		{err: operation.ErrDraining, code: codes.Unavailable, text: "the node is stopping"},

		{err: auth.ErrUnauthenticated, code: codes.Unauthenticated},
		{err: auth.ErrHidden, code: codes.NotFound},
		{err: auth.ErrDenied, code: codes.PermissionDenied},

		{err: filter.ErrToken, code: codes.InvalidArgument, field: "page_token"},

		{err: pool.ErrNotFound, code: codes.NotFound},
		{err: pool.ErrNameTaken, code: codes.AlreadyExists},
		{err: pool.ErrName, code: codes.InvalidArgument, field: "name"},
		{err: pool.ErrMinDiskSize, code: codes.InvalidArgument, field: "min_disk_size"},
		{err: pool.ErrFormatRefused, code: codes.InvalidArgument},
		{err: pool.ErrNotReady, code: codes.FailedPrecondition},
		{err: pool.ErrDigest, code: codes.FailedPrecondition, reason: "DIGEST_DIFFERS"},

		{err: pool.ErrDiskSize, code: codes.InvalidArgument, field: "size"},
		{err: pool.ErrInUse, code: codes.FailedPrecondition},
		{err: pool.ErrNotPooled, code: codes.FailedPrecondition},
		{err: pool.ErrNoDisks, code: codes.FailedPrecondition},
		{err: provision.ErrShrink, code: codes.InvalidArgument, field: "size"},
		{err: provision.ErrMethod, code: codes.FailedPrecondition},
		{err: provision.ErrFileSize, code: codes.FailedPrecondition, field: "size"},
		{err: provision.ErrNoSpace, code: codes.ResourceExhausted, text: "the node's disk directories are full"},
		{err: provision.ErrMissing, code: codes.DataLoss, text: "the files of the disk are missing"},
		{err: ready.ErrSettings, code: codes.InvalidArgument},
		{err: ready.ErrNoPool, code: codes.NotFound},

		{err: fetch.ErrURL, code: codes.InvalidArgument, field: "uri"},
		{err: fetch.ErrForbidden, code: codes.InvalidArgument, field: "uri"},
		{err: fetch.ErrTooLarge, code: codes.InvalidArgument, field: "uri"},
		{err: fetch.ErrChanged, code: codes.FailedPrecondition, reason: "SOURCE_CHANGED"},
		{err: fetch.ErrGone, code: codes.FailedPrecondition},
		{err: fetch.ErrProtocol, code: codes.FailedPrecondition, reason: "SOURCE_MISBEHAVES"},
		{err: fetch.ErrNoRanges, code: codes.FailedPrecondition, reason: "SOURCE_WITHOUT_RANGES"},
		{err: fetch.ErrChecksum, code: codes.FailedPrecondition, reason: "CHECKSUM_DIFFERS"},
		{err: fetch.ErrTemporary, code: codes.Unavailable},
		{err: fetch.ErrClosed, code: codes.Canceled, text: "the source was closed"},

		{err: badimage.ErrCorrupt, code: codes.InvalidArgument},
		{err: badimage.ErrUnsupported, code: codes.InvalidArgument},
		{err: convert.ErrFormat, code: codes.InvalidArgument},

		{err: cas.ErrCorrupt, code: codes.DataLoss, text: "stored data is damaged"},
		{err: cas.ErrUnindexed, code: codes.DataLoss, text: "stored data is not in the index"},
		{err: lazy.ErrCorrupt, code: codes.DataLoss, text: "the disk's map is damaged"},
		{err: lazy.ErrVersion, code: codes.FailedPrecondition, text: "a later version wrote the disk's map"},
		{err: lazy.ErrPoisoned, code: codes.DataLoss, text: "the disk could not be made durable"},
		{err: cas.ErrDegraded, code: codes.FailedPrecondition, text: "too few shards of the store are there for a change"},
		{err: cas.ErrClosed, code: codes.Unavailable, text: "the node is stopping"},
		{err: cas.ErrNotFound, code: codes.FailedPrecondition, text: "the source was deleted"},

		{err: syscall.ENOSPC, code: codes.ResourceExhausted, text: "the node's storage is full"},
		{err: syscall.EDQUOT, code: codes.ResourceExhausted, text: "the node's storage is full"},
		{err: context.DeadlineExceeded, code: codes.DeadlineExceeded, text: "the time for it was over"},
		{err: context.Canceled, code: codes.Canceled, text: "the call was cancelled"},
	}
}
