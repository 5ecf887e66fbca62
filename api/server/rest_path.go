package server

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// plain writes a field's two names alike.
func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// placed refuses what a proxy that looks at paths could read otherwise than this
// node does: a path with another spelling, since what is escaped is taken for what
// it stands for, and parameters in the query that have their place elsewhere, which
// would come before it. A request with a body has all its fields there and in its
// path. No method has lists in its query, so that nothing comes twice.
func placed(next http.Handler, routes []route) http.Handler {
	inPath := make(map[string]bool)
	for _, r := range routes {
		for _, f := range r.fields {
			inPath[f] = true
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "%") || strings.Contains(strings.ToLower(r.URL.RawPath), "%2f") {
			writeStatus(w, http.StatusNotFound, "nothing is at "+r.URL.EscapedPath())
			return
		}
		if r.URL.RawQuery != "" && hasBody(r.Method) {
			writeStatus(w, http.StatusBadRequest, "a "+r.Method+" request has its fields in the path and the body, and no parameters")
			return
		}
		if field, wrong := misplaced(r.URL.RawQuery, inPath); wrong != "" {
			writeViolation(w, field, wrong)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// misplaced says what is wrong with a query, and of which parameter; both are empty
// when nothing is.
func misplaced(query string, inPath map[string]bool) (field, wrong string) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", "the query cannot be read: " + err.Error()
	}
	seen := make(map[string]bool)
	for name, given := range values {
		p := plain(name)
		switch {
		case inPath[p]:
			return name, name + " has its place in the path, and is no parameter"
		case len(given) > 1 || seen[p]:
			return name, name + " is given more than once"
		case !utf8.ValidString(name + given[0]):
			return strings.ToValidUTF8(name, "\uFFFD"), "a parameter is no text"
		}
		seen[p] = true
	}
	return "", ""
}

// hasBody says whether requests of a verb have their fields in a body: the rules of
// such methods all say so.
func hasBody(verb string) bool {
	return verb == http.MethodPost || verb == http.MethodPut || verb == http.MethodPatch
}
