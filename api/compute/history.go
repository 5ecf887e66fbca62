package compute

import (
	"context"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/protobuf/proto"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/rules"
	"github.com/blockmill/blockmill/api/status"
)

// pageRequest is what all requests for a page of things have.
type pageRequest interface {
	proto.Message
	GetPageSize() int64
	GetPageToken() string
}

// history gives a page of a thing's operations, the newest first.
func history[T any](ctx context.Context, c *core, k *kind[T], id string, req pageRequest) ([]*opb.Operation, string, error) {
	if err := rules.Check(req); err != nil {
		return nil, "", err
	}
	if _, err := k.find(ctx, id, auth.Viewer); err != nil {
		return nil, "", err
	}
	page, next, err := c.operations.List(operation.Query{
		ResourceID: id, Size: int(req.GetPageSize()), Token: req.GetPageToken(),
	})
	return page, next, status.Err(err)
}
