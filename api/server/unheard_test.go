package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// bytesCodec sends bytes as a message.
type bytesCodec struct{}

func (bytesCodec) Name() string                    { return "proto" }
func (bytesCodec) Marshal(v any) ([]byte, error)   { return v.([]byte), nil }
func (bytesCodec) Unmarshal(_ []byte, _ any) error { return nil }

// TestUnheardAttemptsAreAudited sends what no method can be called with: the log
// tells who tried to change something.
func TestUnheardAttemptsAreAudited(t *testing.T) {
	h := newHouse(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer folder-editor")
	for name, message := range map[string][]byte{
		"garbage": {0xff, 0xff, 0xff}, "no UTF-8": {0x0a, 1, 0xff}, "too long": make([]byte, 8<<20),
	} {
		for method, audited := range map[string]bool{imageService + "Create": true, imageService + "Get": false} {
			from := len(h.log.String())
			err := h.conn.Invoke(ctx, "/"+method, message, new([]byte), grpc.ForceCodec(bytesCodec{}))
			h.told(method+" with "+name, from, audited, method, "folder-editor", status.Code(err).String())
			if err == nil {
				t.Errorf("%s with %s was taken", method, name)
			}
		}
	}

	const create = imageService + "Create"
	for _, tt := range []struct {
		name, verb, path, body, kind, site string
		http                               int
		method                             string // that is audited
	}{
		{"no JSON", "POST", "/compute/v1/images", "{", "", "", 400, create},
		{"an unknown field", "POST", "/compute/v1/images", `{"x": 1}`, "", "", 400, create},
		{"a field that comes twice", "POST", "/compute/v1/images", `{"folderId": "house", "folder_id": "mallory"}`, "", "", 400, create},
		{"a depth", "POST", "/compute/v1/images", strings.Repeat(`{"os":`, 50_000), "", "", 400, create},
		{"another type", "POST", "/compute/v1/images", "a: 1", "application/yaml", "", 415, create},
		{"too much", "POST", "/compute/v1/images", strings.Repeat(" ", 8<<20), "", "", 413, create},
		{"a parameter", "POST", "/compute/v1/images?folderId=house", "{}", "", "", 400, create},
		{"a parameter of the path", "PATCH", "/compute/v1/images/x?imageId=y", "{}", "", "", 400, imageService + "Update"},
		{"another site", "POST", "/compute/v1/images/x:setAccessBindings", "{}", "", "cross-site", 403, imageService + "SetAccessBindings"},
		{"an unknown parameter", "DELETE", "/compute/v1/images/x?y=z", "", "", "", 400, imageService + "Delete"},
		{"cancel", "POST", "/operations/x:cancel", "[]", "", "", 400, "yandex.cloud.operation.OperationService/Cancel"},
		{"a reader", "GET", "/compute/v1/images/x?y=z", "", "", "", 400, ""},
		{"no path", "POST", "/compute/v1/nothing", "{", "", "", 404, ""},
	} {
		from := len(h.log.String())
		req := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), tt.verb, h.rest+tt.path, strings.NewReader(tt.body)))
		req.Header.Set("Authorization", "Bearer folder-editor")
		req.Header.Set("Content-Type", "application/json")
		if tt.kind != "" {
			req.Header.Set("Content-Type", tt.kind)
		}
		if tt.site != "" {
			req.Header.Set("Sec-Fetch-Site", tt.site)
		}
		resp := must[*http.Response](t)(http.DefaultClient.Do(req))
		body := must[[]byte](t)(io.ReadAll(resp.Body))
		resp.Body.Close()
		if resp.StatusCode != tt.http || resp.Header.Get("Content-Type") != "application/json" || !strings.Contains(string(body), `"message"`) {
			t.Errorf("%s is answered with %d %s %s, want %d", tt.name, resp.StatusCode, resp.Header.Get("Content-Type"), body, tt.http)
		}
		h.told(tt.name, from, tt.method != "", tt.method, "folder-editor", "")
	}
}

// told checks the audit lines since the log was that long: one, or none.
func (h *house) told(what string, from int, audited bool, method, subject, code string) {
	h.t.Helper()
	settled(h.t, func() bool { return len(h.audits(from)) > 0 || !audited })
	lines := h.audits(from)
	if !audited {
		if len(lines) != 0 {
			h.t.Errorf("%s: %v", what, lines)
		}
		return
	}
	if len(lines) != 1 || lines[0]["method"] != method || lines[0]["subject"] != subject || lines[0]["code"] == codes.OK.String() ||
		(code != "" && lines[0]["code"] != code) || !strings.HasPrefix(lines[0]["peer"].(string), "127.0.0.1:") {
		h.t.Errorf("%s: %v, want %s by %s: %s", what, lines, method, subject, code)
	}
}
