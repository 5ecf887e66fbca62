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

var pathVariable = regexp.MustCompile(`\{(\w+)`)

// pathFields are the fields that methods have in their paths, as plain writes them.
func pathFields(services map[string]grpc.ServiceInfo) map[string]bool {
	fields := make(map[string]bool)
	for name := range services {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		service, ok := d.(protoreflect.ServiceDescriptor)
		if err != nil || !ok {
			continue // it has no paths that we know
		}
		methods := service.Methods()
		for i := range methods.Len() {
			rule, _ := proto.GetExtension(methods.Get(i).Options(), annotations.E_Http).(*annotations.HttpRule)
			for _, path := range []string{
				rule.GetGet(), rule.GetPut(), rule.GetPost(), rule.GetPatch(), rule.GetDelete(), rule.GetCustom().GetPath(),
			} {
				for _, v := range pathVariable.FindAllStringSubmatch(path, -1) {
					fields[plain(v[1])] = true
				}
			}
		}
	}
	return fields
}

// plain writes a field's two names alike.
func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// pathFirst refuses parameters with the names of what is in paths: they would come
// before it, and a proxy that looks at paths would let through what it should not.
func pathFirst(next http.Handler, fields map[string]bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name := range r.URL.Query() {
			if fields[plain(name)] {
				writeStatus(w, http.StatusBadRequest, name+" has its place in the path, and is no parameter")
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
