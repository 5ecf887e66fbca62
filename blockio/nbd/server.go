package nbd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrClosed is what Serve returns after Shutdown or Close.
var ErrClosed = errors.New("server is closed")

// Server serves exports to the clients of any number of listeners.
type Server struct {
	// Immutable.
	exports Exports
	opts    Options
	workers chan struct{} // a place for each request at a device
	life    context.Context
	end     context.CancelCauseFunc // of life
	closing chan struct{}           // closed when the server begins to end

	running sync.WaitGroup // connections and the watch over them

	mu        sync.Mutex
	closed    bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
}

// New makes a server. Whoever made it ends it with Shutdown or Close.
func New(exports Exports, opts Options) *Server {
	opts = opts.withDefaults()
	s := &Server{
		exports: exports, opts: opts,
		workers:   make(chan struct{}, opts.Workers),
		closing:   make(chan struct{}),
		listeners: make(map[net.Listener]struct{}),
		conns:     make(map[*conn]struct{}),
	}
	s.life, s.end = context.WithCancelCause(context.Background())
	s.running.Go(s.watch)
	return s
}

// Serve accepts connections until the server ends, which closes the listener,
// and returns ErrClosed then.
func (s *Server) Serve(l net.Listener, sec Security) error {
	if sec.Required && sec.TLS == nil {
		return errors.New("serve NBD: TLS is required and not configured")
	}
	if !s.addListener(l) {
		return errors.Join(ErrClosed, l.Close())
	}
	defer s.removeListener(l)
	for {
		c, err := l.Accept()
		if err != nil {
			if s.isClosed() {
				return ErrClosed
			}
			if !passing(err) {
				return fmt.Errorf("accept NBD connection: %w", err)
			}
			s.opts.Logger.Warn("NBD connection not accepted", "reason", err)
			if !s.pause(100 * time.Millisecond) {
				return ErrClosed
			}
			continue
		}
		s.start(c, sec)
	}
}

// passing says that an error of Accept, such as too many open files, concerns
// the moment and not the listener.
func passing(err error) bool {
	for _, e := range []error{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.ECONNABORTED, unix.ECONNRESET, unix.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// pause waits and says whether the server still goes on.
func (s *Server) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.closing:
		return false
	}
}

// start serves a connection, or refuses it when there are too many.
func (s *Server) start(nc net.Conn, sec Security) {
	c := newConn(s, nc, sec)
	s.mu.Lock()
	full := s.closed || len(s.conns) >= s.opts.MaxConnections
	if !full {
		s.conns[c] = struct{}{}
		s.running.Add(1)
	}
	s.mu.Unlock()
	if full {
		s.opts.Metrics.refused()
		s.opts.Logger.Warn("NBD connection refused", "peer", c.who.Peer, "most", s.opts.MaxConnections)
		c.abort(errTooMany)
		return
	}
	go func() {
		defer s.running.Done()
		c.serve()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
}

var errTooMany = errors.New("too many connections")

func (s *Server) addListener(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) removeListener(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Connections is how many connections there are.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Shutdown ends the server cleanly: listeners are closed, requests that were
// read are answered, connections closed. What has not ended when ctx is done is
// cut off, and Shutdown says so. It returns when nothing of the server runs.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.running.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		n := s.Connections()
		err = errors.Join(err, fmt.Errorf("shut NBD server down: %d connections cut off: %w", n, context.Cause(ctx)))
		s.cut(ErrClosed)
		<-done
	}
	s.end(ErrClosed)
	return err
}

// Close cuts off all connections and returns when nothing of the server runs.
func (s *Server) Close() error {
	err := s.stop()
	s.cut(ErrClosed)
	s.running.Wait()
	return err
}

// stop closes the listeners and asks the connections to end.
func (s *Server) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	close(s.closing)
	var err error
	for l := range s.listeners {
		if e := l.Close(); e != nil && !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, fmt.Errorf("close NBD listener: %w", e))
		}
	}
	for c := range s.conns {
		c.drain()
	}
	return err
}

// cut ends all connections at once.
func (s *Server) cut(cause error) {
	s.end(cause)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.abort(cause)
	}
}

// watch disconnects clients that stall, until the server ends.
func (s *Server) watch() {
	tick := time.NewTicker(max(s.opts.StallTime/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-s.closing:
			// From here Shutdown's context bounds the time.
			return
		case now := <-tick.C:
			s.mu.Lock()
			for c := range s.conns {
				if c.stalled(now) {
					c.abort(errStalled)
				}
			}
			s.mu.Unlock()
		}
	}
}

var errStalled = errors.New("client stalled")
