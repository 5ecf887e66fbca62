package server_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// audits are the audit lines since the log was that long.
func (h *house) audits(from int) []map[string]any {
	h.t.Helper()
	var all []map[string]any
	for line := range strings.Lines(h.log.String()[from:]) {
		var doc map[string]any
		if err := json.Unmarshal([]byte(line), &doc); err != nil {
			h.t.Fatalf("%s: %v", line, err)
		}
		if doc["msg"] == "audit" {
			all = append(all, doc)
		}
	}
	return all
}

// TestEachMutationIsAudited makes every call as one who may, one who may see, one
// who may not and nobody, by gRPC and by REST: the log tells of each that would
// change something, once, and of no other.
func TestEachMutationIsAudited(t *testing.T) {
	h := newHouse(t)
	for _, c := range calls() {
		for _, who := range []string{operator, "bound-viewer", "mallory", ""} {
			there := h.things
			if c.deletes && who == operator {
				there = h.made(c.needs[0].on)
			}
			there.in = "mallory"
			for by, call := range map[string]func(string, string, proto.Message) codes.Code{
				"gRPC": func(who, method string, req proto.Message) codes.Code {
					_, err := h.call(who, method, req)
					return status.Code(err)
				},
				"REST": func(who, method string, req proto.Message) codes.Code {
					answer := h.ask(who, method, req)
					return codes.Code(answer.code)
				},
			} {
				req := c.request(there)
				if _, ok := restOf(method(c.method), req); by == "REST" && !ok {
					continue
				}
				from := len(h.log.String())
				code := call(who, c.method, req)
				lines := h.audits(from)
				if !c.audited {
					if len(lines) != 0 {
						t.Errorf("%s, which changes nothing, by %s: %v", c.method, by, lines)
					}
					continue
				}
				if len(lines) != 1 || lines[0]["method"] != c.method || lines[0]["subject"] != who || lines[0]["code"] != code.String() ||
					!strings.HasPrefix(fmt.Sprint(lines[0]["peer"]), "127.0.0.1:") {
					t.Errorf("%s, as %q by %s, answered by %v: %v", c.method, who, by, code, lines)
				}
			}
		}
	}
}
