package server

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"

	"github.com/blockmill/blockmill/api/auth"
)

// withPeer puts a connection's peer into the context of its requests.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	if known, ok := c.(*conn); ok {
		return context.WithValue(ctx, peerKey{}, known.peer)
	}
	return ctx
}

// identified puts the caller's subject into the context of what is no service.
func (s *Server) identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(s.withSubject(r.Context(), r)))
	})
}

// withSubject puts a request's subject into the context, if there is one.
func (s *Server) withSubject(ctx context.Context, r *http.Request) context.Context {
	peer := peerFrom(ctx)
	peer.Token = auth.BearerToken(r.Header.Get("Authorization"))
	subject, err := s.opts.Authenticator.Authenticate(peer)
	if err != nil {
		return ctx
	}
	s.newcomers.remove(peer.Connection)
	return auth.NewContext(ctx, subject)
}

// withCertificatesOf is the context of a request with what TLS knows of its peer.
func withCertificatesOf(r *http.Request) context.Context {
	if r.TLS == nil {
		return r.Context()
	}
	return context.WithValue(r.Context(), peerKey{}, withCertificates(peerFrom(r.Context()), r.TLS))
}
