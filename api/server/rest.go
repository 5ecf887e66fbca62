package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"

	"connectrpc.com/connect"
	"connectrpc.com/vanguard"
	"connectrpc.com/vanguard/vanguardgrpc"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/blockmill/blockmill/api/auth"
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
	h := placed(t, routes)
	h = s.limited(h)
	h = statusBodies(h)
	h = timedWrites(h, s.opts.Limits.Receive)
	h = sameSite(h, s.opts.Hosts)
	h = s.auditRequests(h, routes)
	return h, nil
}

// restBuffer bounds a response in memory: the longest page of a list.
const restBuffer = 32 << 20

// jsonCodec writes JSON as the public API's documentation shows it, with the
// values of fields that are zero, and refuses names that it does not know.
func jsonCodec(res vanguard.TypeResolver) vanguard.Codec {
	return codec{vanguard.JSONCodec{
		MarshalOptions:   protojson.MarshalOptions{Resolver: res, EmitDefaultValues: true},
		UnmarshalOptions: protojson.UnmarshalOptions{Resolver: res},
	}}
}

// codec says of what it cannot read that the client is to blame.
type codec struct{ vanguard.JSONCodec }

// Unmarshal is of vanguard.Codec.
func (c codec) Unmarshal(p []byte, m proto.Message) error {
	return invalid(c.JSONCodec.Unmarshal(p, m))
}

// UnmarshalField is of vanguard.RESTCodec.
func (c codec) UnmarshalField(p []byte, m proto.Message, f protoreflect.FieldDescriptor) error {
	return invalid(c.JSONCodec.UnmarshalField(p, m, f))
}

func invalid(err error) error {
	if err == nil {
		return nil
	}
	return connect.NewError(connect.CodeInvalidArgument, err)
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
	return auth.NewContext(ctx, subject)
}

// compressed says whether a request's body is not what it will be in memory, by
// the headers of REST and of the protocols beside it.
func compressed(h http.Header) bool {
	for _, name := range []string{"Content-Encoding", "Connect-Content-Encoding", "Grpc-Encoding"} {
		if v := h.Get(name); v != "" && v != "identity" {
			return true
		}
	}
	return false
}

// withCertificatesOf is the context of a request with what TLS knows of its peer.
func withCertificatesOf(r *http.Request) context.Context {
	if r.TLS == nil {
		return r.Context()
	}
	return context.WithValue(r.Context(), peerKey{}, withCertificates(peerFrom(r.Context()), r.TLS))
}

// limited bounds requests in number and size.
func (s *Server) limited(next http.Handler) http.Handler {
	requests := newShares("requests", s.opts.Limits.Requests, s.opts.Limits.SubjectRequests)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := requests.of(callerIn(s.withSubject(r.Context(), r)), false)
		if full := request.take(); full != nil {
			s.opts.Metrics.limited(full)
			writeStatus(w, http.StatusTooManyRequests, tooMany(full))
			return
		}
		defer request.leave()
		if compressed(r.Header) {
			writeStatus(w, http.StatusUnsupportedMediaType, "requests are taken without compression only")
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.opts.Limits.MessageBytes)))
		if err != nil {
			code := http.StatusRequestTimeout
			if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
				code = http.StatusRequestEntityTooLarge
			}
			writeStatus(w, code, err.Error())
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		normalize(r)
		next.ServeHTTP(w, r)
	})
}
