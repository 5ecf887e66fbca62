package server

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

// gate stands before every gRPC call, when only its headers have come: what it
// turns away cannot make the server keep a message. It bounds the calls of all
// connections, and lets in those that nobody knows only to what is public.
func (s *Server) gate(ctx context.Context, info *tap.Info) (context.Context, error) {
	if s.calls.Add(1) > int64(s.opts.Limits.Calls) {
		s.calls.Add(-1)
		s.opts.Metrics.refusedCall(codes.ResourceExhausted)
		return nil, status.Error(codes.ResourceExhausted, "too many calls at once")
	}
	if _, err := s.authenticated(ctx, info.FullMethodName); err != nil {
		s.calls.Add(-1)
		err = s.statusError(err)
		s.opts.Metrics.refusedCall(status.Code(err))
		return nil, err
	}
	// A stream's context ends with it.
	context.AfterFunc(ctx, func() { s.calls.Add(-1) })
	return ctx, nil
}
