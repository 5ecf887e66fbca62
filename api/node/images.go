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
	return img, hidden("image", id, auth.Allow(ctx, need, auth.Images, img.Folder, img.Bindings))
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
	return d, hidden("disk", id, auth.Allow(ctx, need, auth.Disks, d.Folder, d.Bindings))
}

// allowedFolder says whether the caller has a role on a folder for things of a kind.
func allowedFolder(ctx context.Context, folder string, need auth.Role, kind auth.Kind) error {
	return hidden("folder", folder, auth.AllowFolder(ctx, need, kind, pool.FolderID(folder)))
}

// hidden says of what may not be seen what package pool says of what is not there.
func hidden(what, id string, err error) error {
	if errors.Is(err, auth.ErrHidden) {
		return fmt.Errorf("%s %s: %w", what, id, pool.ErrNotFound)
	}
	return err
}
