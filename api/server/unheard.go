package server

import (
	"context"
	"net/http"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// unheard audits the calls that end before a method has them: their messages are
// too long, do not come, or cannot be decoded.
type unheard struct{ server *Server }

var _ stats.Handler = unheard{}

type attemptKey struct{}

// attempt is a call, or a request by REST, that may become one of a method.
type attempt struct {
	method string // of gRPC; empty for a request
	called atomic.Bool
}

// TagRPC begins an attempt.
func (unheard) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, rpcKey{}, &attempt{method: info.FullMethodName})
}

type rpcKey struct{}

// HandleRPC ends an attempt. Those that came by REST are its to audit, which knows
// what they are answered with.
func (u unheard) HandleRPC(ctx context.Context, s stats.RPCStats) {
	end, ok := s.(*stats.End)
	if !ok || end.Error == nil || ctx.Value(attemptKey{}) != nil {
		return
	}
	if a, ok := ctx.Value(rpcKey{}).(*attempt); ok && !a.called.Load() {
		u.server.auditUnheard(ctx, a.method, end.Error)
	}
}

// TagConn is of stats.Handler.
func (unheard) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn is of stats.Handler.
func (unheard) HandleConn(context.Context, stats.ConnStats) {}

// called says of an attempt that it has become a call of a method.
func called(ctx context.Context) {
	for _, key := range []any{rpcKey{}, attemptKey{}} {
		if a, ok := ctx.Value(key).(*attempt); ok {
			a.called.Store(true)
		}
	}
}

// auditUnheard audits what was for a method that never had it.
func (s *Server) auditUnheard(ctx context.Context, method string, err error) {
	if !s.isMethod(method) {
		return // the name is the caller's
	}
	// Nobody's attempts are audited too.
	ctx, _ = s.authenticated(ctx, method)
	s.audit(ctx, method, nil, nil, err)
}

// auditRequests audits the requests by REST that were for a method and have not
// come to it.
func (s *Server) auditRequests(next http.Handler, routes []route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method, ok := methodOf(routes, r.Method, r.URL.EscapedPath()) // before others rewrite it
		a := new(attempt)
		sw := &codeWriter{ResponseWriter: w}
		ctx := withCertificatesOf(r)
		next.ServeHTTP(sw, r.WithContext(context.WithValue(ctx, attemptKey{}, a)))
		if !ok || a.called.Load() {
			return
		}
		code, known := codeOf[sw.code]
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

// codeWriter keeps the status of a response.
type codeWriter struct {
	http.ResponseWriter
	code int
}

// WriteHeader begins the response.
func (w *codeWriter) WriteHeader(code int) {
	if w.code == 0 {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap gives the writer below, for http.ResponseController.
func (w *codeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush sends what was written.
func (w *codeWriter) Flush() {
	// A writer that cannot flush has nothing to be flushed.
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}
