package server

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc/stats"
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
