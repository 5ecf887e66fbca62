package server

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/blockmill/blockmill/api/auth"
)

// gate stands before every gRPC call, when only its headers have come: what it
// turns away cannot make the server keep a message. It bounds the calls of all
// connections and of each caller, until they are answered in full, lets in those that nobody
// knows only to what is public, and gives up calls whose message does not come.
func (s *Server) gate(ctx context.Context, info *tap.Info) (context.Context, error) {
	known, err := s.authenticated(ctx, info.FullMethodName)
	if err != nil {
		return nil, s.turnAway(ctx, info.FullMethodName, s.statusError(err))
	}
	call := s.calls.of(callerIn(known), s.isStream(info.FullMethodName))
	if full := call.take(); full != nil {
		s.opts.Metrics.limited(full)
		return nil, s.turnAway(known, info.FullMethodName, status.Error(codes.ResourceExhausted, tooMany(full)))
	}
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(s.opts.Limits.Receive, func() {
		s.opts.Metrics.refusedCall(codes.DeadlineExceeded)
		cancel()
	})
	answers := answersOf(ctx)
	answers.begin()
	// A stream's context ends with its method.
	context.AfterFunc(ctx, func() {
		late.Stop()
		answers.end(call.leave)
	})
	return context.WithValue(ctx, lateKey{}, late), nil
}

// answersOf is the connection of a call.
func answersOf(ctx context.Context) *answering {
	p, _ := peer.FromContext(ctx)
	return p.AuthInfo.(peerInfo).answers
}

// caller is whom limits are for.
type caller struct {
	name  string
	known bool // it may call more than what is public
}

// callerIn is a subject, or where nobody knows which one, a connection.
func callerIn(ctx context.Context) caller {
	subject, ok := auth.FromContext(ctx)
	if ok && !subject.Anybody {
		return caller{"subject " + subject.ID, true}
	}
	return caller{fmt.Sprintf("connection %d", peerFrom(ctx).Connection), ok}
}

// turnAway notes a call that the gate does not let in, and gives the error that it
// is answered with. Names that no method has are not noted: they are the caller's.
func (s *Server) turnAway(ctx context.Context, method string, err error) error {
	s.opts.Metrics.refusedCall(status.Code(err))
	if s.isMethod(method) {
		s.audit(ctx, method, nil, nil, err)
	}
	return err
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
func (s *Server) isStream(method string) bool { return s.served()[method] }

func (s *Server) isMethod(method string) bool {
	_, ok := s.served()[method]
	return ok
}

// served are the methods, and whether they are streams.
func (s *Server) served() map[string]bool {
	s.methodsOnce.Do(func() {
		s.methods = make(map[string]bool)
		for service, info := range s.grpc.GetServiceInfo() {
			for _, m := range info.Methods {
				s.methods["/"+service+"/"+m.Name] = m.IsServerStream || m.IsClientStream
			}
		}
	})
	return s.methods
}
