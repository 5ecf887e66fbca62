package server

import (
	"net/http"
	"slices"
	"strings"
)

// spoken leads requests for a path of REST to next, and all others elsewhere. Those with
// a verb that the path has not are answered at once. HEAD is a GET whose body nobody
// wants, where that changes nothing.
func spoken(next, elsewhere http.Handler, routes []route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		verbs := verbsOf(routes, r.URL.Path)
		switch {
		case len(verbs) == 0:
			elsewhere.ServeHTTP(w, r)
			return
		case !slices.Contains(verbs, r.Method):
			w.Header().Set("Allow", strings.Join(verbs, ", "))
			writeStatus(w, http.StatusMethodNotAllowed, "method not allowed")
			return
		case r.Method == http.MethodHead:
			r = r.WithContext(r.Context()) // a copy: the connection's own leaves the body out
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

// verbsOf are the verbs that a path of REST has, in order.
func verbsOf(routes []route, path string) []string {
	var verbs []string
	for _, r := range routes {
		if !r.rest || !r.path.MatchString(path) {
			continue
		}
		verbs = append(verbs, r.verb)
		if r.verb == http.MethodGet && !isMutation(r.method) {
			verbs = append(verbs, http.MethodHead)
		}
	}
	slices.Sort(verbs)
	return slices.Compact(verbs)
}
