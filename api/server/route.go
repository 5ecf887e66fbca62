package server

import (
	"net/http"
	"regexp"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// route is one way to a method by REST.
type route struct {
	method string // its full name
	verb   string
	path   *regexp.Regexp
	fields []string // that the path has, as plain writes them
	rest   bool     // others are of the protocols beside REST, whose paths name methods
}

var pathVariable = regexp.MustCompile(`\{(\w+)[^}]*\}`)

// routesTo are the ways to methods, those of their annotations and others.
func routesTo(services map[string]grpc.ServiceInfo, others []*annotations.HttpRule) []route {
	var routes []route
	for name := range services {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		service, ok := d.(protoreflect.ServiceDescriptor)
		if err != nil || !ok {
			continue // it has no paths that we know
		}
		methods := service.Methods()
		for i := range methods.Len() {
			m := methods.Get(i)
			full := "/" + name + "/" + string(m.Name())
			rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
			routes = append(routes, routeBy(full, rule), route{
				method: full, verb: http.MethodPost, path: regexp.MustCompile("^" + regexp.QuoteMeta(full) + "$"),
			})
		}
	}
	for _, rule := range others {
		at := strings.LastIndexByte(rule.GetSelector(), '.')
		routes = append(routes, routeBy("/"+rule.GetSelector()[:at]+"/"+rule.GetSelector()[at+1:], rule))
	}
	return routes
}

// routeBy is the way to a method that a rule has; without one it leads nowhere.
func routeBy(method string, rule *annotations.HttpRule) route {
	r := route{method: method}
	var path string
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		r.verb, path = http.MethodGet, p.Get
	case *annotations.HttpRule_Put:
		r.verb, path = http.MethodPut, p.Put
	case *annotations.HttpRule_Post:
		r.verb, path = http.MethodPost, p.Post
	case *annotations.HttpRule_Patch:
		r.verb, path = http.MethodPatch, p.Patch
	case *annotations.HttpRule_Delete:
		r.verb, path = http.MethodDelete, p.Delete
	}
	r.rest = path != ""
	for _, v := range pathVariable.FindAllStringSubmatch(path, -1) {
		r.fields = append(r.fields, plain(v[1]))
	}
	parts := pathVariable.Split(path, -1)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	r.path = regexp.MustCompile("^" + strings.Join(parts, "[^/:]*") + "$")
	return r
}

// methodOf is the method that a request is for.
func methodOf(routes []route, verb, path string) (string, bool) {
	for _, r := range routes {
		if r.verb == verb && r.path.MatchString(path) {
			return r.method, true
		}
	}
	return "", false
}
