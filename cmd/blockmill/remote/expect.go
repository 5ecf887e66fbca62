package remote

import (
	"context"

	"google.golang.org/grpc/metadata"
)

// The headers in which the daemon takes what a new image must be.
const (
	sha256Header = "blockmill-expected-sha256"
	digestHeader = "blockmill-expected-digest"
)

// Expect gives the calls with the context the SHA-256 that the source's file must
// have and the digest that the image must have; either may be empty.
func Expect(ctx context.Context, sha256, digest string) context.Context {
	if sha256 != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, sha256Header, sha256)
	}
	if digest != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, digestHeader, digest)
	}
	return ctx
}
