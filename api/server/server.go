package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/blockmill/blockmill/api/auth"
)

// Options say how to serve. Authenticator and Status are required.
type Options struct {
	Authenticator *auth.Authenticator
	// Status makes a status of the errors of methods.
	Status func(error) *rpcstatus.Status
	Limits Limits
	// Refuse, if set, says whether a mutation must not begin now.
	Refuse func(method string) error
	// Poll is how often clients are asked to look at operations; by default
	// every second.
	Poll time.Duration
	// Hosts are the names under which REST is asked for besides "localhost"
	// and addresses; a page elsewhere cannot pretend to be one of them.
	Hosts []string
	// Logger hears of mutations, and of what went wrong and had no caller to
	// tell.
	Logger  *slog.Logger
	Metrics *Metrics
}

// Server serves the API.
type Server struct {
	opts      Options
	poll      string
	grpc      *grpc.Server
	health    *health.Server
	limit     atomic.Int64  // of each listener's connections
	calls     *shares       // of gRPC
	serial    atomic.Uint64 // of connections
	newcomers newcomers

	methodsOnce sync.Once
	methods     map[string]bool // what is served, and whether it is a stream; made at the first call

	mu      sync.Mutex
	rest    []*http.Server // guarded by mu
	stopped bool           // Shutdown has looked at rest; guarded by mu
}

// New makes a server, with health and reflection.
func New(opts Options) *Server {
	opts.Limits = opts.Limits.withDefaults()
	if opts.Poll < time.Second {
		opts.Poll = time.Second
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{opts: opts, poll: strconv.Itoa(int(opts.Poll / time.Second)), health: health.NewServer()}
	s.calls = newShares("calls", opts.Limits.Calls, opts.Limits.SubjectCalls)
	s.limit.Store(int64(opts.Limits.Connections))
	l := opts.Limits
	s.grpc = grpc.NewServer(
		grpc.Creds(transport{patience: opts.Limits.Receive}),
		grpc.InTapHandle(s.gate),
		grpc.StatsHandler(unheard{s}),
		grpc.UnaryInterceptor(s.unary),
		grpc.StreamInterceptor(s.stream),
		grpc.MaxConcurrentStreams(uint32(l.Streams)),
		grpc.MaxRecvMsgSize(l.MessageBytes),
		grpc.MaxHeaderListSize(uint32(l.HeaderBytes)),
		grpc.ConnectionTimeout(l.Handshake),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: l.Ping, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: l.Idle, Time: time.Minute, Timeout: 20 * time.Second,
		}),
	)
	healthpb.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	return s
}

// RegisterService is of grpc.ServiceRegistrar.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	s.grpc.RegisterService(desc, impl)
}

// SetConnections changes how many connections each listener has at once.
func (s *Server) SetConnections(n int) {
	s.limit.Store(int64(Limits{Connections: n}.withDefaults().Connections))
}

// SetServing says whether the health service calls the server healthy.
func (s *Server) SetServing(ok bool) {
	state := healthpb.HealthCheckResponse_NOT_SERVING
	if ok {
		state = healthpb.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", state)
}

// listener wraps one of the caller's.
func (s *Server) listener(l net.Listener, name string, cfg *tls.Config) *Listener {
	return &Listener{Listener: l, limit: s.limit.Load, tls: cfg, metrics: s.opts.Metrics, name: name, server: s}
}

// ServeGRPC serves gRPC on a listener, with TLS when there is a configuration,
// until Shutdown.
func (s *Server) ServeGRPC(l net.Listener, cfg *tls.Config) error {
	err := s.grpc.Serve(s.listener(l, "grpc", cfg))
	if err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve gRPC on %v: %w", l.Addr(), err)
	}
	return nil
}

// Shutdown lets the calls that are under way come to their ends, but not longer
// than the context allows.
func (s *Server) Shutdown(ctx context.Context) error {
	s.health.Shutdown()
	s.mu.Lock()
	rest := s.rest
	s.stopped = true
	s.mu.Unlock()
	var err error
	for _, h := range rest {
		if stopErr := h.Shutdown(ctx); stopErr != nil && err == nil {
			err = errors.Join(stopErr, h.Close())
		}
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.grpc.GracefulStop()
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
		s.grpc.Stop()
		<-stopped
	}
	if err != nil {
		return fmt.Errorf("stop serving REST: %w", err)
	}
	return nil
}
