package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"connectrpc.com/vanguard"
	"connectrpc.com/vanguard/vanguardgrpc"
	"google.golang.org/genproto/googleapis/api/annotations"
)

// cancelByPost is how the documentation cancels an operation; the protocol's own
// annotation says GET, which is there too.
var cancelByPost = &annotations.HttpRule{
	Selector: "yandex.cloud.operation.OperationService.Cancel",
	Pattern:  &annotations.HttpRule_Post{Post: "/operations/{operation_id}:cancel"},
	Body:     "*",
}

// REST is the handler of the services that are registered, as HTTP with JSON.
// Requests for anything else go to fallback, with their subject, if there is one.
func (s *Server) REST(fallback http.Handler) (http.Handler, error) {
	rules := []*annotations.HttpRule{}
	if _, ok := s.grpc.GetServiceInfo()["yandex.cloud.operation.OperationService"]; ok {
		rules = append(rules, cancelByPost)
	}
	t, err := vanguardgrpc.NewTranscoder(s.grpc,
		vanguard.WithDefaultServiceOptions(vanguard.WithMaxMessageBufferBytes(restBuffer)),
		vanguard.WithCodec(jsonCodec),
		vanguard.WithRules(rules...),
		vanguard.WithUnknownHandler(s.identified(fallback)),
	)
	if err != nil {
		return nil, fmt.Errorf("make REST of the services: %w", err)
	}
	routes := routesTo(s.grpc.GetServiceInfo(), rules)
	h := filled(t)
	h = placed(h, routes)
	h = spoken(h, t, routes)
	h = s.limited(h)
	h = timedWrites(h, s.opts.Limits.Receive)
	h = sameSite(h, s.opts.Hosts)
	h = s.answered(h, routes)
	return h, nil
}

// ServeREST serves a handler of REST on a listener, which it closes, until Shutdown.
func (s *Server) ServeREST(l net.Listener, cfg *tls.Config, h http.Handler) error {
	limits := s.opts.Limits
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: limits.Handshake,
		ReadTimeout:       limits.Receive,
		WriteTimeout:      limits.Receive, // each write has its own, see slowWriter
		IdleTimeout:       limits.Idle,
		MaxHeaderBytes:    limits.HeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelDebug),
		ConnContext:       withPeer,
	}
	s.mu.Lock()
	s.rest = append(s.rest, server)
	stopped := s.stopped
	s.mu.Unlock()
	if stopped {
		return l.Close()
	}
	wrapped := net.Listener(s.listener(l, "rest", nil))
	if cfg != nil {
		wrapped = tls.NewListener(wrapped, cfg)
	}
	if err := server.Serve(wrapped); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve REST on %v: %w", l.Addr(), err)
	}
	return nil
}
