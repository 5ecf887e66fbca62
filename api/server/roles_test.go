package server_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/blockmill/blockmill/api/auth"
)

// on is the role that a person has on one of the things.
func (p person) on(what string, t things) auth.Role {
	in := func(folder string) auth.Role {
		switch folder {
		case p.id:
			return auth.Admin
		case "house":
			return p.role
		}
		return auth.None
	}
	switch what {
	case "folder":
		return in(t.folder)
	case "in":
		return in(t.in)
	case "operation":
		return in("house")
	}
	return max(p.role, p.bound)
}

// answer is what a person is to be answered.
func (p person) answer(c call, t things) codes.Code {
	for _, n := range c.needs {
		switch has := p.on(n.on, t); {
		case n.on == "node":
			return codes.PermissionDenied
		case has == auth.None:
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
