package auth

import (
	"context"
	"errors"

	"github.com/blockmill/blockmill/pool"
)

var (
	// ErrUnauthenticated says that nobody knows who calls.
	ErrUnauthenticated = errors.New("not authenticated")
	// ErrHidden says that the subject may not see what it asks for: to be
	// answered as if that did not exist.
	ErrHidden = errors.New("not found")
	// ErrDenied says that the subject may see it, but not do this with it.
	ErrDenied = errors.New("permission denied")
)

// The types of subjects in bindings.
const (
	UserAccount    = "userAccount"
	ServiceAccount = "serviceAccount"
	FederatedUser  = "federatedUser"
	// System is the type of the groups that everybody is in.
	System = "system"
	// AllUsers and AllAuthenticatedUsers are ids of type System.
	AllUsers              = "allUsers"
	AllAuthenticatedUsers = "allAuthenticatedUsers"
)

// isAccount says whether accounts can be of a type.
func isAccount(kind string) bool {
	return kind == UserAccount || kind == ServiceAccount || kind == FederatedUser
}

// isEverybody says whether an id of type System is that of a group.
func isEverybody(id string) bool { return id == AllUsers || id == AllAuthenticatedUsers }

// EveryFolder stands for all folders in Subject.Folders.
const EveryFolder pool.FolderID = "*"

// Subject is a caller. It is not changed once it is made.
type Subject struct {
	// ID names it, in audit lines and in bindings of its Type.
	ID, Type string
	// Folders are the roles that it has on them.
	Folders map[pool.FolderID]Grant
	// UID and GID are the caller's on this machine, when Local says that they
	// are known.
	UID, GID uint32
	Local    bool
	// Anybody says that nobody knows who it is: the node is open to every local
	// caller.
	Anybody bool
}

type contextKey struct{}

// NewContext gives a context of requests by s.
func NewContext(ctx context.Context, s Subject) context.Context {
	return context.WithValue(ctx, contextKey{}, s)
}

// FromContext gives the subject whose request it is.
func FromContext(ctx context.Context) (Subject, bool) {
	s, ok := ctx.Value(contextKey{}).(Subject)
	return s, ok
}

// Allow says whether the caller has a role, or a higher one, for things of a kind
// on a folder, or by the bindings of such a thing in it: nil, ErrUnauthenticated,
// ErrHidden or ErrDenied.
func Allow(ctx context.Context, need Role, kind Kind, folder pool.FolderID, bindings []pool.Binding) error {
	s, ok := FromContext(ctx)
	if !ok {
		return ErrUnauthenticated
	}
	switch has := s.Role(kind, folder, bindings); {
	case has >= need:
		return nil
	case has == None:
		return ErrHidden
	}
	return ErrDenied
}

// AllowFolder is Allow for the things of a kind in a folder together: a caller with
// a role there for another kind knows the folder, and gets ErrDenied.
func AllowFolder(ctx context.Context, need Role, kind Kind, folder pool.FolderID) error {
	err := Allow(ctx, need, kind, folder, nil)
	if s, _ := FromContext(ctx); errors.Is(err, ErrHidden) && s.knows(folder) {
		return ErrDenied
	}
	return err
}

// knows says whether the subject has any role on a folder.
func (s Subject) knows(folder pool.FolderID) bool {
	return max(s.Folders[folder].Role, s.Folders[EveryFolder].Role) > None
}

// AllowNode says whether the caller may operate the node itself: it is admin of
// everything in every folder. Others get ErrDenied, or ErrUnauthenticated.
func AllowNode(ctx context.Context) error {
	s, ok := FromContext(ctx)
	if !ok {
		return ErrUnauthenticated
	}
	if s.Folders[EveryFolder].On(Every) < Admin {
		return ErrDenied
	}
	return nil
}

// Role is the highest role that the subject has for things of a kind on a folder,
// or by the bindings of such a thing in it.
func (s Subject) Role(kind Kind, folder pool.FolderID, bindings []pool.Binding) Role {
	role := max(s.Folders[folder].On(kind), s.Folders[EveryFolder].On(kind))
	for _, b := range bindings {
		if g, ok := ParseRole(b.Role); ok && s.is(b) {
			role = max(role, g.On(kind))
		}
	}
	return role
}

// is says whether a binding is one of the subject's.
func (s Subject) is(b pool.Binding) bool {
	if b.SubjectType == System {
		return isEverybody(b.SubjectID)
	}
	return b.SubjectType == s.Type && b.SubjectID == s.ID
}
