package server

import (
	"context"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// answered gives each request its answer, and audits those that were for a method
// and have not come to it.
func (s *Server) answered(next http.Handler, routes []route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method, ok := methodOf(routes, r.Method, r.URL.Path) // before others rewrite it
		a := &answer{ResponseWriter: w, attempt: new(attempt)}
		ctx := withCertificatesOf(r)
		next.ServeHTTP(a, r.WithContext(context.WithValue(ctx, attemptKey{}, a.attempt)))
		a.release(nil)
		if !ok || a.attempt.called.Load() {
			return
		}
		code, known := codeOf[a.status]
		if !known {
			code = codes.Unknown
		}
		ctx = peer.NewContext(s.withSubject(ctx, r), &peer.Peer{Addr: remote(r.RemoteAddr)})
		s.audit(ctx, method, nil, nil, status.Error(code, ""))
	})
}

// remote is the address of a client as the http package tells it.
type remote string

// Network is of net.Addr.
func (remote) Network() string { return "tcp" }

func (r remote) String() string { return string(r) }
