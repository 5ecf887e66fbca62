package operation

import (
	"context"
	"fmt"
	"strings"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/pool"
)

// Allow says whether the caller has a role on an operation's folder, for the kind
// of things that the operation's kind begins with, or submitted it. To others it does not exist: ErrNotFound. auth.ErrUnauthenticated for any id
// when nobody knows who calls.
func Allow(ctx context.Context, e *Engine, need auth.Role, id string) error {
	s, ok := auth.FromContext(ctx)
	if !ok {
		return auth.ErrUnauthenticated
	}
	info, err := e.Info(id)
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(info.Kind, ".")
	kind, folder := auth.Kind(name), pool.FolderID(info.Folder)
	switch {
	case s.ID == info.CreatedBy:
		return nil
	case s.Role(kind, folder, nil) == auth.None:
		return fmt.Errorf("operation %q: %w", id, ErrNotFound)
	}
	return auth.Allow(ctx, need, kind, folder, nil)
}
