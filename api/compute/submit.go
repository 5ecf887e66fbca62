package compute

import (
	"context"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/rules"
	"github.com/blockmill/blockmill/api/status"
)

// keyHeader names the request among those of its caller.
const keyHeader = "idempotency-key"

// maxKey is the longest idempotency key that is taken, in bytes.
const maxKey = 128

// mutation is a request that changes something.
type mutation struct {
	// kind is that of the operation, description what it is called.
	kind, description string
	folder            string
	request           proto.Message
	private           []byte
	// secret says that they carry keys or a signed address.
	secret bool
	// wrong are violations that are not the message's alone: of headers, and of
	// what only this package knows.
	wrong []error
	// inline says that it takes no longer than an answer may.
	inline bool
	// kept says that what it makes keeps the operation; see operation.Spec.
	kept bool
	// admit is not called for a request that was submitted before.
	admit admission
}

// admission holds a request against the caller's roles and the state of the node,
// and reserves what the operation needs.
type admission func(op operation.Ticket) (operation.Reservation, error)

// submit makes an operation of a request.
func (c *core) submit(ctx context.Context, m mutation) (*opb.Operation, error) {
	subject, ok := auth.FromContext(ctx)
	if !ok {
		return nil, status.Err(auth.ErrUnauthenticated)
	}
	key, err := idempotencyKey(ctx)
	if err := rules.Check(m.request, append(m.wrong, err)...); err != nil {
		return nil, err
	}
	if m.inline {
		ctx = context.WithValue(ctx, inlineKey{}, true)
	}
	op, err := c.operations.Submit(ctx, operation.Spec{
		Kind: m.kind, Folder: m.folder, Description: m.description, CreatedBy: subject.ID,
		Request: m.request, Private: m.private, Secret: m.secret, IdempotencyKey: key, Inline: m.inline, Kept: m.kept, Reserve: m.admit,
	})
	return op, status.Err(err)
}

func idempotencyKey(ctx context.Context) (string, error) {
	key := header(ctx, keyHeader)
	if len(key) > maxKey {
		return "", rules.Violation(keyHeader, "Length must be less than or equal to %d", maxKey)
	}
	return key, nil
}

// header is a header of the request, empty without one.
func header(ctx context.Context, name string) string {
	if all := metadata.ValueFromIncomingContext(ctx, name); len(all) > 0 {
		return all[0]
	}
	return ""
}
