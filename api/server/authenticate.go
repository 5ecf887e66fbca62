package server

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/blockmill/blockmill/api/auth"
)

// public are the services that need no subject: what a client asks before it can
// know how to authenticate.
var public = [...]string{
	"/grpc.health.v1.Health/",
	"/grpc.reflection.",
	"/yandex.cloud.endpoint.ApiEndpointService/",
}

func isPublic(method string) bool {
	for _, prefix := range public {
		if strings.HasPrefix(method, prefix) {
			return true
		}
	}
	return false
}

// authenticated puts the caller's subject into the context.
func (s *Server) authenticated(ctx context.Context, method string) (context.Context, error) {
	caller := peerFrom(ctx)
	subject, err := s.opts.Authenticator.Authenticate(caller)
	if err != nil {
		if isPublic(method) {
			return ctx, nil
		}
		return ctx, fmt.Errorf("%s: %w", method, err)
	}
	s.newcomers.remove(caller.Connection)
	return auth.NewContext(ctx, subject), nil
}

type peerKey struct{}

// peerFrom is the peer of a request: REST put it into the context, gRPC has it
// with the connection. The token comes with each request.
func peerFrom(ctx context.Context) auth.Peer {
	p, ok := ctx.Value(peerKey{}).(auth.Peer)
	if !ok {
		if g, found := peer.FromContext(ctx); found {
			if info, ours := g.AuthInfo.(peerInfo); ours {
				p = info.peer
			}
		}
	}
	md, _ := metadata.FromIncomingContext(ctx)
	for _, header := range md.Get("authorization") {
		p.Token = auth.BearerToken(header)
	}
	return p
}
