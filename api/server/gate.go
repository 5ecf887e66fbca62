package server

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/blockmill/blockmill/api/auth"
)

// gate stands before every gRPC call, when only its headers have come: what it
// turns away cannot make the server keep a message. It bounds the calls of all
// connections, lets in those that nobody knows only to what is public, and gives
// up calls whose message does not come.
func (s *Server) gate(ctx context.Context, info *tap.Info) (context.Context, error) {
	known, err := s.authenticated(ctx, info.FullMethodName)
	if err != nil {
		err = s.statusError(err)
		s.opts.Metrics.refusedCall(status.Code(err))
		return nil, err
	}
	_, isKnown := auth.FromContext(known)
	call := s.calls.of(isKnown, s.isStream(info.FullMethodName))
	if !call.take() {
		s.opts.Metrics.refusedCall(codes.ResourceExhausted)
		return nil, status.Error(codes.ResourceExhausted, "too many calls at once")
	}
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(s.opts.Limits.Receive, func() {
		s.opts.Metrics.refusedCall(codes.DeadlineExceeded)
		cancel()
	})
	// A stream's context ends with it.
	context.AfterFunc(ctx, func() {
		late.Stop()
		call.leave()
	})
	return context.WithValue(ctx, lateKey{}, late), nil
}

type lateKey struct{}

// received says of a call that its message is there.
func received(ctx context.Context) {
	if late, ok := ctx.Value(lateKey{}).(*time.Timer); ok {
		late.Stop()
	}
}

// isStream says whether a method may send or take more than one message. One that
// does not exist is none.
func (s *Server) isStream(method string) bool {
	s.streamsOnce.Do(func() {
		s.streams = make(map[string]bool)
		for service, info := range s.grpc.GetServiceInfo() {
			for _, m := range info.Methods {
				if m.IsServerStream || m.IsClientStream {
					s.streams["/"+service+"/"+m.Name] = true
				}
			}
		}
	})
	return s.streams[method]
}
