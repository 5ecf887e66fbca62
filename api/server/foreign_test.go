package server_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// looks says that a call looks at what it is about: it is served, to those who may.
func (c call) looks() bool { return c.answer == codes.OK && len(c.needs) > 0 }

// TestForeignIsAsUnknown makes every call as somebody who has nothing here, with
// each id of what is here and with one that nothing has: the answers are the same to
// the letter, by gRPC and by REST.
func TestForeignIsAsUnknown(t *testing.T) {
	h := newHouse(t)
	const who = "mallory"
	for _, c := range calls() {
		for field := range h.things.ids() {
			// What it makes is to be made in his own folder, so that this is not
			// what is missed, and there when the folder is looked at.
			there := h.things
			if there.in = who; there.ids()[field] == &there.in {
				there.in = "house"
			}
			foreign := *there.ids()[field]
			unknown := strings.Repeat("q", len(foreign))
			ours, theirs := c.request(there), c.request(there.with(field, unknown))
			if proto.Equal(ours, theirs) {
				continue // it does not take such an id
			}
			got, want := h.said(who, c.method, ours, foreign), h.said(who, c.method, theirs, unknown)
			if got != want || c.looks() && !strings.HasPrefix(want, codes.NotFound.String()) {
				t.Errorf("%s: foreign %q, unknown %q", c.method, got, want)
			}
			if _, ok := restOf(method(c.method), ours); !ok {
				continue
			}
			a, b := h.ask(who, c.method, ours), h.ask(who, c.method, theirs)
			a.body, b.body = strings.ReplaceAll(a.body, foreign, "ID"), strings.ReplaceAll(b.body, unknown, "ID")
			if a != b || c.looks() && a.http != 404 {
				t.Errorf("%s by REST: foreign %v, unknown %v", c.method, a, b)
			}
		}
	}
}

// ids are all of them.
func (t *things) ids() []*string {
	return []*string{&t.folder, &t.in, &t.image, &t.disk, &t.snapshot, &t.operation}
}

// with gives the things with another id.
func (t things) with(field int, id string) things {
	*t.ids()[field] = id
	return t
}

// said is everything that is answered to a call, with its id left out.
func (h *house) said(who, method string, req proto.Message, id string) string {
	h.t.Helper()
	_, err := h.call(who, method, req)
	p, merr := proto.MarshalOptions{Deterministic: true}.Marshal(status.Convert(err).Proto())
	if merr != nil {
		h.t.Fatal(merr)
	}
	return status.Code(err).String() + strings.ReplaceAll(string(p), id, "ID")
}
