package server

import (
	"net/http"
	"strings"
)

// plain writes a field's two names alike.
func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// placed refuses parameters in the query that have their place elsewhere. A request
// with a body has all its fields there and in its path. Those with the names of what
// is in paths would come before it, and a proxy that looks at paths would let
// through what it should not.
func placed(next http.Handler, routes []route) http.Handler {
	inPath := make(map[string]bool)
	for _, r := range routes {
		for _, f := range r.fields {
			inPath[f] = true
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" && hasBody(r.Method) {
			writeStatus(w, http.StatusBadRequest, "a "+r.Method+" request has its fields in the path and the body, and no parameters")
			return
		}
		for name := range r.URL.Query() {
			if inPath[plain(name)] {
				writeStatus(w, http.StatusBadRequest, name+" has its place in the path, and is no parameter")
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// hasBody says whether requests of a verb have their fields in a body: the rules of
// such methods all say so.
func hasBody(verb string) bool {
	return verb == http.MethodPost || verb == http.MethodPut || verb == http.MethodPatch
}
