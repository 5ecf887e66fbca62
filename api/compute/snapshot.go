package compute

import (
	"context"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/access"
	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/protobuf/proto"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/rules"
	"github.com/blockmill/blockmill/pool"
)

// The kinds of operations on snapshots.
const (
	snapshotCreate = "snapshot.create"
	snapshotUpdate = "snapshot.update"
	snapshotDelete = "snapshot.delete"
	snapshotExport = "snapshot.export"
)

// snapshotService is yandex.cloud.compute.v1.SnapshotService.
type snapshotService struct {
	computepb.UnimplementedSnapshotServiceServer
	*core
}

func snapshotKind(n *pool.Node) *kind[pool.Snapshot] {
	return &kind[pool.Snapshot]{
		name:  "snapshot",
		get:   func(id string) (pool.Snapshot, error) { return n.Snapshot(pool.SnapshotID(id)) },
		list:  n.Snapshots,
		check: func(id string, e pool.Edit) error { return n.CheckSnapshot(pool.SnapshotID(id), e) },
		edit: func(ctx context.Context, id string, e pool.Edit) (pool.Snapshot, error) {
			return n.UpdateSnapshot(ctx, pool.SnapshotID(id), e)
		},
		thing: func(s *pool.Snapshot) thing { return thingOf(&s.Meta) },
		fields: map[string]func(*pool.Snapshot) string{
			"source_disk_id": func(s *pool.Snapshot) string { return string(s.SourceDisk) },
		},
	}
}

// snapshotHandlers are those of the operations on snapshots.
func (c *core) snapshotHandlers(handlers map[string]operation.Handler) {
	handlers[snapshotCreate] = createSnapshot{c}
	handlers[snapshotUpdate] = operation.HandlerFunc(c.runUpdateSnapshot)
	handlers[snapshotDelete] = deletion(func(ctx context.Context, id string) error {
		return c.node.DeleteSnapshot(ctx, pool.SnapshotID(id))
	})
	handlers[snapshotExport] = operation.HandlerFunc(c.runExportSnapshot)
	accessHandlers(c.snapshots, handlers)
}

// Get gives a snapshot.
func (s *snapshotService) Get(ctx context.Context, req *computepb.GetSnapshotRequest) (*computepb.Snapshot, error) {
	if err := rules.Check(req); err != nil {
		return nil, err
	}
	v, err := s.snapshots.find(ctx, req.GetSnapshotId(), auth.Viewer)
	if err != nil {
		return nil, err
	}
	return snapshotMessage(v), nil
}

// List gives a page of a folder's snapshots.
func (s *snapshotService) List(ctx context.Context, req *computepb.ListSnapshotsRequest) (*computepb.ListSnapshotsResponse, error) {
	page, next, err := s.snapshots.page(ctx, req.GetFolderId(), req)
	if err != nil {
		return nil, err
	}
	answer := &computepb.ListSnapshotsResponse{NextPageToken: next, Snapshots: make([]*computepb.Snapshot, len(page))}
	for i, v := range page {
		answer.Snapshots[i] = snapshotMessage(v)
	}
	return answer, nil
}

// Update changes what is known of a snapshot.
func (s *snapshotService) Update(ctx context.Context, req *computepb.UpdateSnapshotRequest) (*opb.Operation, error) {
	id := req.GetSnapshotId()
	return s.submit(ctx, mutation{
		kind: snapshotUpdate, description: "Update snapshot", folder: s.snapshots.folderOf(id), request: req, inline: true,
		admit: admitEdit(ctx, s.snapshots, id, edit(req), &computepb.UpdateSnapshotMetadata{SnapshotId: id}),
	})
}

// admitEdit lets an editor change a thing that is ready.
func admitEdit[T any](ctx context.Context, k *kind[T], id string, e pool.Edit, metadata proto.Message) admission {
	return func(operation.Ticket) (operation.Reservation, error) {
		_, err := k.find(ctx, id, auth.Editor)
		if err == nil {
			err = k.check(id, e)
		}
		return operation.Reservation{ResourceID: id, Metadata: metadata}, err
	}
}

func (c *core) runUpdateSnapshot(ctx context.Context, op *operation.Running) (proto.Message, error) {
	req := new(computepb.UpdateSnapshotRequest)
	if err := op.Request(req); err != nil {
		return nil, err
	}
	v, err := c.node.UpdateSnapshot(ctx, pool.SnapshotID(req.GetSnapshotId()), edit(req))
	if err != nil {
		return nil, err
	}
	return snapshotMessage(v), nil
}

// Delete removes a snapshot.
func (s *snapshotService) Delete(ctx context.Context, req *computepb.DeleteSnapshotRequest) (*opb.Operation, error) {
	id := req.GetSnapshotId()
	return s.submit(ctx, mutation{
		kind: snapshotDelete, description: "Delete snapshot", folder: s.snapshots.folderOf(id), request: req, inline: true,
		admit: admitEdit(ctx, s.snapshots, id, pool.Edit{}, &computepb.DeleteSnapshotMetadata{SnapshotId: id}),
	})
}

// ListOperations gives a page of a snapshot's operations, the newest first.
func (s *snapshotService) ListOperations(ctx context.Context, req *computepb.ListSnapshotOperationsRequest) (*computepb.ListSnapshotOperationsResponse, error) {
	page, next, err := history(ctx, s.core, s.snapshots, req.GetSnapshotId(), req)
	if err != nil {
		return nil, err
	}
	return &computepb.ListSnapshotOperationsResponse{Operations: page, NextPageToken: next}, nil
}

// ListAccessBindings gives a page of a snapshot's access bindings.
func (s *snapshotService) ListAccessBindings(ctx context.Context, req *access.ListAccessBindingsRequest) (*access.ListAccessBindingsResponse, error) {
	return listBindings(ctx, s.snapshots, req)
}

// SetAccessBindings replaces a snapshot's access bindings.
func (s *snapshotService) SetAccessBindings(ctx context.Context, req *access.SetAccessBindingsRequest) (*opb.Operation, error) {
	return setBindings(ctx, s.core, s.snapshots, req)
}

// UpdateAccessBindings adds and removes access bindings of a snapshot.
func (s *snapshotService) UpdateAccessBindings(ctx context.Context, req *access.UpdateAccessBindingsRequest) (*opb.Operation, error) {
	return updateBindings(ctx, s.core, s.snapshots, req)
}
