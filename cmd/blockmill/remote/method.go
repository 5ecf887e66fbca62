package remote

import (
	"context"

	"google.golang.org/grpc/metadata"
)

// methodHeader is the header in which the daemon takes how a disk is to be made.
const methodHeader = "blockmill-disk-method"

// WithDiskMethod gives the calls with the context the method by which a disk is
// to be made; empty leaves that to the daemon.
func WithDiskMethod(ctx context.Context, method string) context.Context {
	if method == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, methodHeader, method)
}
