package main

import (
	"context"
	"log/slog"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/api/node"
	"github.com/blockmill/blockmill/api/operation"
)

// TestCollectionsDoNotPileUp has collections that last longer than the time between
// two: each would keep a worker from the callers' operations.
func TestCollectionsDoNotPileUp(t *testing.T) {
	engine, err := operation.Open(t.Context(), operation.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"node.gc", "node.scrub"} {
		engine.Register(kind, operation.HandlerFunc(func(ctx context.Context, _ *operation.Running) (proto.Message, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}))
	}
	if err := engine.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := engine.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	// A scrub, which lasts too, is in the way of no collection.
	if _, err := node.Scrub(t.Context(), engine, auth.Node, &blockmillpb.ScrubRequest{}); err != nil {
		t.Fatal(err)
	}
	u := &upkeep{engine: engine, log: slog.New(slog.DiscardHandler)}
	for range 3 {
		u.collectGarbage(t.Context())
	}
	page, _, err := engine.List(operation.Query{Pending: true})
	if err != nil || len(page) != 2 {
		t.Errorf("%d operations of the node's own are under way, want a scrub and a collection; %v", len(page), err)
	}
}
