package server_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// raw sends a request as the operator word for word, and gives its answer and that
// one's body.
func (h *house) raw(version, verb, target string, headers []string, body string) (*http.Response, string) {
	h.t.Helper()
	c := must[net.Conn](h.t)(net.Dial("tcp", strings.TrimPrefix(h.rest, "http://")))
	defer c.Close()
	fmt.Fprintf(c, "%s %s HTTP/%s\r\nAuthorization: Bearer %s\r\nConnection: close\r\n", verb, target, version, operator)
	for _, line := range headers {
		fmt.Fprintf(c, "%s\r\n", line)
	}
	if body != "" {
		fmt.Fprintf(c, "Content-Length: %d\r\n", len(body))
	}
	fmt.Fprintf(c, "\r\n%s", body)
	all := must[[]byte](h.t)(io.ReadAll(c))
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(all)), &http.Request{Method: verb})
	if err != nil {
		h.t.Fatalf("%s %s: %v in %q", verb, target, err, all)
	}
	defer resp.Body.Close()
	return resp, string(must[[]byte](h.t)(io.ReadAll(resp.Body)))
}

// TestRequestsAtTheEdge sends what HTTP has besides the requests that the paths of
// methods are for.
func TestRequestsAtTheEdge(t *testing.T) {
	h := newHouse(t)
	image, operation := "/compute/v1/images/"+h.things.image, "/operations/"+h.things.operation
	const images = "/compute/v1/images"
	const list = images + "?folderId=house"
	host, form := []string{"Host: localhost"}, []string{"Host: localhost", "Content-Type: application/x-www-form-urlencoded"}
	for _, tt := range []struct {
		version, verb, target string
		headers               []string
		body                  string
		status                int
		says                  string // in the body
		allow                 string
	}{
		{"1.0", "GET", list, nil, "", 200, h.things.image, ""},
		{"1.1", "GET", list, nil, "", 400, "missing required Host", ""},
		{"1.1", "GET", list, form, "", 200, h.things.image, ""},
		{"1.1", "HEAD", list, host, "", 200, "", ""},
		{"1.1", "HEAD", image, host, "", 200, "", ""},
		{"1.1", "HEAD", image + "x", host, "", 404, "", ""},
		{"1.1", "HEAD", operation, host, "", 200, "", ""},
		{"1.1", "HEAD", "/endpoints", host, "", 200, "", ""},
		{"1.1", "HEAD", operation + ":cancel", host, "", 405, "", "GET, POST"},
		{"1.1", "HEAD", image + ":setAccessBindings", host, "", 405, "", "POST"},
		{"1.1", "PUT", images, host, "{}", 405, "method not allowed", "GET, HEAD, POST"},
		{"1.1", "OPTIONS", image, host, "", 405, "method not allowed", "DELETE, GET, HEAD, PATCH"},
		{"1.1", "FOO", image, host, "", 405, "method not allowed", "DELETE, GET, HEAD, PATCH"},
		{"1.1", "get", image, host, "", 405, "method not allowed", "DELETE, GET, HEAD, PATCH"},
		{"1.1", "POST", images, host, "", 400, `"field":"folder_id"`, ""},
		{"1.1", "POST", images, form, "", 400, `"field":"folder_id"`, ""},
		{"1.1", "POST", images, form, "a=b", 415, "want application/json", ""},
		{"1.1", "POST", operation + ":cancel", form, "", 200, h.things.operation, ""},
		{"1.1", "GET", list + "&folderId=mallory", host, "", 400, `"field":"folderId"`, ""},
		{"1.1", "GET", list + "&folder_id=mallory", host, "", 400, "is given more than once", ""},
		{"1.1", "GET", list + "&pageSize=1&pageSize=1", host, "", 400, `"field":"pageSize"`, ""},
		{"1.1", "GET", list + "&pageSize=%zz", host, "", 400, "invalid URL escape", ""},
		{"1.1", "GET", list + ";pageSize=1", host, "", 400, "invalid semicolon", ""},
		{"1.1", "GET", list + "&", host, "", 200, h.things.image, ""},
		{"1.1", "GET", image + "?imageId=x", host, "", 400, `"field":"imageId"`, ""},
		{"1.1", "GET", images + "/", host, "", 400, `"field":"image_id"`, ""},
		{"1.1", "GET", image + "/", host, "", 404, "nothing is at", ""},
		{"1.1", "GET", "/" + image, host, "", 404, "nothing is at", ""},
		{"1.1", "GET", strings.Replace(image, "/v1/", "//v1/", 1), host, "", 404, "nothing is at", ""},
		{"1.1", "GET", images + "/x/../" + h.things.image, host, "", 404, "nothing is at", ""},
		{"1.1", "GET", images + "/a%2Fb", host, "", 404, "nothing is at", ""},
		{"1.1", "GET", images + "%2f" + h.things.image, host, "", 404, "nothing is at", ""},
		{"1.1", "DELETE", fmt.Sprintf("%s/%%25%02x%s", images, h.things.image[0], h.things.image[1:]), host, "", 404, "nothing is at", ""},
		{"1.1", "GET", images + "%3AlatestByFamily?folderId=house&family=none", host, "", 404, "image of family none", ""},
		{"1.1", "GET", images + "/" + strings.Repeat("x", 10_000), host, "", 400, "less than or equal to 50", ""},
	} {
		resp, body := h.raw(tt.version, tt.verb, tt.target, tt.headers, tt.body)
		if resp.StatusCode != tt.status || resp.Header.Get("Allow") != tt.allow || !strings.Contains(strings.ReplaceAll(body, `": "`, `":"`), tt.says) {
			t.Errorf("HTTP/%s %s %.80s: %d, allowed are %q, %s; want %d, %q, %s",
				tt.version, tt.verb, tt.target, resp.StatusCode, resp.Header.Get("Allow"), body, tt.status, tt.allow, tt.says)
		}
		if kind := resp.Header.Get("Content-Type"); tt.headers != nil && (kind != "application/json" || resp.ContentLength == 0 && tt.verb != "HEAD") {
			t.Errorf("%s %.80s: %q, %d bytes", tt.verb, tt.target, kind, resp.ContentLength)
		}
		if tt.verb != "HEAD" && tt.headers != nil && !json.Valid([]byte(body)) {
			t.Errorf("%s %.80s: %s", tt.verb, tt.target, body)
		}
	}
	if _, err := h.call(operator, imageService+"Get", &computepb.GetImageRequest{ImageId: h.things.image}); err != nil {
		t.Errorf("the image is gone: %v", err)
	}
}

// TestNoListsInQueries holds the node to what placed relies on: a parameter that
// comes twice is none of a list.
func TestNoListsInQueries(t *testing.T) {
	for _, c := range calls() {
		m := method(c.method)
		rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
		if rule.GetGet() == "" && rule.GetDelete() == "" {
			continue
		}
		for i := range m.Input().Fields().Len() {
			if f := m.Input().Fields().Get(i); f.IsList() || f.IsMap() {
				t.Errorf("%s takes %s in its query", c.method, f.FullName())
			}
		}
	}
}

// TestUnknownMethods calls what nobody serves.
func TestUnknownMethods(t *testing.T) {
	h := newHouse(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+operator)
	for _, name := range []string{
		"/" + imageService + "Nothing", "/yandex.cloud.compute.v1.NothingService/Get", "/nothing", "//", "/" + imageService,
		"/" + strings.ToLower(imageService) + "get", "/" + imageService + "Get/", "/" + imageService + strings.Repeat("x", 10_000),
	} {
		err := h.conn.Invoke(ctx, name, new(annotations.HttpRule), new(annotations.HttpRule))
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("%.80s: %v", name, err)
		}
		if err := h.conn.Invoke(t.Context(), name, new(annotations.HttpRule), new(annotations.HttpRule)); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%.80s, as nobody: %v", name, err)
		}
	}
}
