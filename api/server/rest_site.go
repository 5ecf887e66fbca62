package server

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// sameSite refuses what pages of other sites make a browser on this machine
// send: changes from elsewhere, and names that were made to lead here.
func sameSite(next http.Handler, hosts []string) http.Handler {
	protected := http.NewCrossOriginProtection()
	protected.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeStatus(w, http.StatusForbidden, "request from another site")
	}))
	h := protected.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
			writeStatus(w, http.StatusForbidden, "request from another site")
			return
		}
		if !knownHost(r.Host, hosts) {
			writeStatus(w, http.StatusForbidden, "this is not the host that was asked for")
			return
		}
		h.ServeHTTP(w, r)
	})
}

// knownHost says whether a request's Host is an address, localhost, or one of
// the names.
func knownHost(host string, names []string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	return host == "" || strings.EqualFold(host, "localhost") || net.ParseIP(host) != nil ||
		slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, host) })
}
