package auth

import "strings"

// Role is what one may do with the things of a folder, or with one thing. Each
// includes those before it.
type Role int

// The roles.
const (
	// None sees nothing.
	None Role = iota
	// Viewer sees things.
	Viewer
	// User makes disks and images from them too.
	User
	// Editor makes, changes and deletes them.
	Editor
	// Admin also says who may do what.
	Admin
)

var roleNames = [...]string{None: "", Viewer: "viewer", User: "user", Editor: "editor", Admin: "admin"}

func (r Role) String() string { return roleNames[r] }

// Kind is a kind of things, as the kinds of operations begin with it.
type Kind string

// The kinds that roles may be for.
const (
	// Every stands for all kinds, and for what is of none.
	Every     Kind = ""
	Images    Kind = "image"
	Disks     Kind = "disk"
	Snapshots Kind = "snapshot"
)

// Grant is a role for things of one kind, or of Every.
type Grant struct {
	Role Role
	Kind Kind
}

// On is the role that a grant gives for things of a kind.
func (g Grant) On(kind Kind) Role {
	if g.Kind != Every && g.Kind != kind {
		return None
	}
	return g.Role
}

var scopes = map[string]Kind{
	"": Every, "compute": Every, "compute.images": Images, "compute.disks": Disks, "compute.snapshots": Snapshots,
}

// ParseRole reads the id of a role: its name, which may follow a service's
// ("compute.user") or, for things of one kind alone, that kind's
// ("compute.images.user"). What is no role here gives nothing.
func ParseRole(id string) (Grant, bool) {
	scope, name := "", id
	if at := strings.LastIndexByte(id, '.'); at >= 0 {
		scope, name = id[:at], id[at+1:]
	}
	kind, ok := scopes[scope]
	if !ok {
		return Grant{}, false
	}
	for r := Viewer; r <= Admin; r++ {
		if roleNames[r] == name {
			return Grant{r, kind}, true
		}
	}
	return Grant{}, false
}
