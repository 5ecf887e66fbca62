package server_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/blockmill/blockmill/api/auth"
)

// of is the kind of things in folders and operations that a call is about.
func (c call) of() auth.Kind {
	switch service, name, _ := strings.Cut(c.method, "/"); service + "/" {
	case imageService, own + "PoolService/", operationService:
		return auth.Images
	case diskService:
		return auth.Disks
	case snapshotService:
		return auth.Snapshots
	case own + "OperationService/":
		if name == "Watch" { // the operation of the house is an image's
			return auth.Images
		}
	}
	return auth.Every
}

// counted is what a role is for things of a kind.
func counted(g auth.Grant, kind auth.Kind) auth.Role {
	if g.Kind == auth.Every || g.Kind == kind {
		return g.Role
	}
	return auth.None
}

// on is the role that a person has on one of the things of a call, and whether
// that is known to be there.
func (p person) on(what string, c call, t things) (has auth.Role, known bool) {
	in := func(folder string) auth.Grant {
		switch folder {
		case p.id:
			return role(auth.Admin)
		case "house":
			return p.role
		}
		return nobody
	}
	switch what {
	case "folder":
		return counted(in(t.folder), c.of()), in(t.folder) != nobody
	case "in":
		return counted(in(t.in), c.of()), in(t.in) != nobody
	case "operation":
		has = counted(p.role, c.of())
	default:
		kind := auth.Kind(what)
		has = max(counted(p.role, kind), counted(p.bound, kind))
	}
	return has, has != auth.None
}

// answer is what a person is to be answered.
func (p person) answer(c call, t things) codes.Code {
	for _, n := range c.needs {
		switch has, known := p.on(n.on, c, t); {
		case n.on == "node":
			return codes.PermissionDenied
		case !known:
			return codes.NotFound
		case has < n.role:
			return codes.PermissionDenied
		}
	}
	return c.answer
}

// TestWhoMayWhat makes every call as everybody: with roles of the folder, with
// bindings on the things, with neither, and as nobody.
func TestWhoMayWhat(t *testing.T) {
	h := newHouse(t)
	for _, c := range calls() {
		for _, p := range people {
			for _, in := range []string{p.id, "house"} {
				there := h.things
				if there.in = in; in == "house" && (len(c.needs) == 0 || c.needs[0].on != "in") {
					continue // it makes nothing anywhere
				}
				want := p.answer(c, there)
				if c.deletes && want == codes.OK {
					there = h.made(c.needs[0].on)
				}
				if _, err := h.call(p.id, c.method, c.request(there)); status.Code(err) != want {
					t.Errorf("%s, as %s into %s: %v, want %v", c.method, p.id, in, err, want)
				}
			}
		}
		want := codes.Unauthenticated
		if strings.HasPrefix(c.method, endpointService) {
			want = codes.OK
		}
		if _, err := h.call("", c.method, c.request(h.things)); status.Code(err) != want {
			t.Errorf("%s, as nobody: %v, want %v", c.method, err, want)
		}
	}
}
