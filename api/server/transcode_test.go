package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// restRequest is a call as REST has it.
type restRequest struct{ verb, path, body string }

var variable = regexp.MustCompile(`\{(\w+)(=[^}]*)?\}`)

// restOf writes a call as the annotation of its method says, if it has one: fields
// are in the path, and the others in the body or the query.
func restOf(m protoreflect.MethodDescriptor, req proto.Message) (restRequest, bool) {
	rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	var r restRequest
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		r.verb, r.path = http.MethodGet, p.Get
	case *annotations.HttpRule_Post:
		r.verb, r.path = http.MethodPost, p.Post
	case *annotations.HttpRule_Patch:
		r.verb, r.path = http.MethodPatch, p.Patch
	case *annotations.HttpRule_Delete:
		r.verb, r.path = http.MethodDelete, p.Delete
	default:
		return r, false
	}
	rest := proto.Clone(req).ProtoReflect()
	r.path = variable.ReplaceAllStringFunc(r.path, func(v string) string {
		f := rest.Descriptor().Fields().ByName(protoreflect.Name(variable.FindStringSubmatch(v)[1]))
		text := rest.Get(f).String()
		rest.Clear(f)
		return url.PathEscape(text)
	})
	text, err := protojson.Marshal(rest.Interface())
	if err != nil {
		panic(err)
	}
	if rule.GetBody() == "*" {
		r.body = string(text)
		return r, true
	}
	query := make(url.Values)
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		panic(err)
	}
	for name, v := range fields {
		if s, ok := v.(string); ok {
			query.Set(name, s)
		}
	}
	if len(query) > 0 {
		r.path += "?" + query.Encode()
	}
	return r, true
}

// restAnswer is what came by REST; the code is that in the body of an error.
type restAnswer struct {
	http int
	code int
	body string
}

// ask makes a call by REST as somebody, "" for nobody.
func (h *house) ask(who, name string, msg proto.Message) restAnswer {
	h.t.Helper()
	r, ok := restOf(method(name), msg)
	if !ok {
		h.t.Fatalf("%s is not there by REST", name)
	}
	req, err := http.NewRequestWithContext(h.t.Context(), r.verb, h.rest+r.path, strings.NewReader(r.body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if who != "" {
		req.Header.Set("Authorization", "Bearer "+who)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	p, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	answer := restAnswer{http: resp.StatusCode, body: string(p)}
	var doc struct{ Code int }
	if err := json.Unmarshal(p, &doc); err != nil {
		h.t.Fatalf("%s: %v in %s", name, err, p)
	}
	if resp.StatusCode != http.StatusOK {
		answer.code = doc.Code
	}
	return answer
}
