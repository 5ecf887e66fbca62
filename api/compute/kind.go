package compute

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/status"
	"github.com/blockmill/blockmill/pool"
)

// kind is one kind of things: how the node is asked for them, and how they are
// shown.
type kind[T any] struct {
	// name begins the kinds of operations, and the errors.
	name string
	get  func(id string) (T, error)
	list func(pool.Query) iter.Seq[T]
	// check and bind are the node's check of an edit and the edit itself, for
	// edits that all kinds have.
	check func(id string, e pool.Edit) error
	edit  func(ctx context.Context, id string, e pool.Edit) (T, error)
	thing func(*T) thing
	// fields are what lists are filtered by, beside labels.
	fields map[string]func(*T) string
}

// thing is what all kinds have.
type thing struct {
	id          string
	folder      pool.FolderID
	name        string
	description string
	labels      map[string]string
	created     time.Time
	status      pool.Status
	bindings    []pool.Binding
}

func thingOf[I ~string](m *pool.Meta[I]) thing {
	return thing{
		id: string(m.ID), folder: m.Folder, name: m.Name, description: m.Description, labels: m.Labels,
		created: m.CreatedAt, status: m.Status, bindings: m.Bindings,
	}
}

// createRequest is what the create requests of all kinds have.
type createRequest interface {
	GetFolderId() string
	GetName() string
	GetDescription() string
	GetLabels() map[string]string
}

// sourcedRequest is what the create requests of images and disks have.
type sourcedRequest interface {
	GetFolderId() string
	GetImageId() string
	GetSnapshotId() string
}

// admitNew lets an editor of a folder make something of a kind there, of an image or
// a snapshot that he may use.
func (c *core) admitNew(ctx context.Context, kind auth.Kind, req sourcedRequest) error {
	if err := allowFolder(ctx, req.GetFolderId(), auth.Editor, kind); err != nil {
		return err
	}
	var err error
	switch {
	case req.GetImageId() != "":
		_, err = c.images.find(ctx, req.GetImageId(), auth.User)
	case req.GetSnapshotId() != "":
		_, err = c.snapshots.find(ctx, req.GetSnapshotId(), auth.User)
	}
	return err
}

// describe says of a thing what a request does.
func describe[I ~string](m *pool.Meta[I], req createRequest) {
	m.Folder, m.Name, m.Description, m.Labels = pool.FolderID(req.GetFolderId()), req.GetName(), req.GetDescription(), req.GetLabels()
}

// find gives a thing to a caller who has a role on it. For others it does not
// exist, or they are told that they lack the role.
func (k *kind[T]) find(ctx context.Context, id string, need auth.Role) (T, error) {
	if _, known := auth.FromContext(ctx); !known {
		return *new(T), status.Err(auth.ErrUnauthenticated)
	}
	v, err := k.get(id)
	if err == nil {
		t := k.thing(&v)
		err = refused(k.name, id, auth.Allow(ctx, need, auth.Kind(k.name), t.folder, t.bindings))
	}
	if err != nil {
		return *new(T), status.Err(err)
	}
	return v, nil
}

// allowFolder says whether the caller has a role on a folder for things of a kind.
func allowFolder(ctx context.Context, folder string, need auth.Role, kind auth.Kind) error {
	return refused("folder", folder, auth.AllowFolder(ctx, need, kind, pool.FolderID(folder)))
}

// refused is an error of package auth about something, in the words of what does
// not exist when it may not be seen.
func refused(kind, id string, err error) error {
	switch {
	case errors.Is(err, auth.ErrHidden):
		return missing(kind, id)
	case err != nil:
		return fmt.Errorf("%s %s: %w", kind, id, err)
	}
	return nil
}

// missing is the error of what does not exist, as package pool says it.
func missing(kind, id string) error { return fmt.Errorf("%s %s: %w", kind, id, pool.ErrNotFound) }

// folderOf gives the folder of a thing, if there is such a thing.
func (k *kind[T]) folderOf(id string) string {
	v, err := k.get(id)
	if err != nil {
		return ""
	}
	return string(k.thing(&v).folder)
}
