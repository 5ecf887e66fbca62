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

// ParseRole reads the id of a role: its name, which may follow a service's or a
// kind's ("compute.images.user"). What is no role here gives nothing.
func ParseRole(id string) (Role, bool) {
	scope, name := "", id
	if at := strings.LastIndexByte(id, '.'); at >= 0 {
		scope, name = id[:at], id[at+1:]
	}
	switch scope {
	case "", "compute", "compute.images", "compute.disks", "compute.snapshots":
	default:
		return None, false
	}
	for r := Viewer; r <= Admin; r++ {
		if roleNames[r] == name {
			return r, true
		}
	}
	return None, false
}
