package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/pool"
)

// findImage gives an image to a caller who has a role on it; to others it does not
// exist.
func findImage(ctx context.Context, n *pool.Node, id string, need auth.Role) (pool.Image, error) {
	if _, known := auth.FromContext(ctx); !known {
		return pool.Image{}, auth.ErrUnauthenticated
	}
	img, err := n.Image(pool.ImageID(id))
	if err != nil {
		return img, err
	}
	return img, allowed(ctx, "image", id, need, img.Folder, img.Bindings)
}

// findDisk is findImage for disks.
func findDisk(ctx context.Context, n *pool.Node, id string, need auth.Role) (pool.Disk, error) {
	if _, known := auth.FromContext(ctx); !known {
		return pool.Disk{}, auth.ErrUnauthenticated
	}
	d, err := n.Disk(pool.DiskID(id))
	if err != nil {
		return d, err
	}
	return d, allowed(ctx, "disk", id, need, d.Folder, d.Bindings)
}

// allowed says of what may not be seen what package pool says of what is not there.
func allowed(ctx context.Context, kind, id string, need auth.Role, folder pool.FolderID, bindings []pool.Binding) error {
	err := auth.Allow(ctx, need, folder, bindings)
	if errors.Is(err, auth.ErrHidden) {
		return fmt.Errorf("%s %s: %w", kind, id, pool.ErrNotFound)
	}
	return err
}
