package server

import (
	"context"
	"runtime/debug"
	"time"

	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// unary stands around every unary method, those that come by REST included.
func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	received(ctx)
	called(ctx)
	start := time.Now()
	method := info.FullMethod
	defer func() {
		if p := recover(); p != nil {
			resp, err = nil, s.panicked(method, p)
		}
		err = s.statusError(err)
		s.opts.Metrics.called(method, status.Code(err), time.Since(start))
		s.audit(ctx, method, req, resp, err)
	}()
	if ctx, err = s.authenticated(ctx, method); err != nil {
		return nil, err
	}
	if s.opts.Refuse != nil && isMutation(method) {
		if err = s.opts.Refuse(method); err != nil {
			return nil, err
		}
	}
	resp, err = next(ctx, req)
	if op, ok := resp.(*opb.Operation); ok && err == nil && !op.GetDone() {
		// It fails only where no header can be sent any more.
		_ = grpc.SetHeader(ctx, metadata.Pairs("x-operation-poll-interval", s.poll))
	}
	return resp, err
}

// stream stands around every streaming method.
func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	called(ss.Context())
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			err = s.panicked(info.FullMethod, p)
		}
		err = s.statusError(err)
		s.opts.Metrics.called(info.FullMethod, status.Code(err), time.Since(start))
	}()
	ctx, err := s.authenticated(ss.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	return next(srv, &streamWithContext{ss, ctx})
}

type streamWithContext struct {
	grpc.ServerStream
	ctx context.Context
}

// RecvMsg waits for a message; only the first has to come in a bounded time.
func (s *streamWithContext) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	received(s.ctx)
	return err
}

// Context is that of the stream, with its subject.
func (s *streamWithContext) Context() context.Context { return s.ctx }

// panicked makes an error of a panic.
func (s *Server) panicked(method string, p any) error {
	s.opts.Logger.Error("a method panicked", "method", method, "panic", p, "stack", string(debug.Stack()))
	return status.Error(codes.Internal, "internal error")
}

// statusError makes a gRPC status of any error.
func (s *Server) statusError(err error) error {
	if err == nil {
		return nil
	}
	if st, ok := err.(interface{ GRPCStatus() *status.Status }); ok {
		return st.GRPCStatus().Err()
	}
	return status.FromProto(s.opts.Status(err)).Err()
}
