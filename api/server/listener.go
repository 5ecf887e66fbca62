package server

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/api/auth"
)

// Listener bounds the connections of another, and knows their peers.
type Listener struct {
	net.Listener
	limit   func() int64 // may change at any time
	tls     *tls.Config  // nil: none
	open    atomic.Int64
	metrics *Metrics
	name    string
	serial  *atomic.Uint64 // numbers connections; nil: they have none
}

// Bound bounds the connections of a listener that is not a Server's own.
func Bound(l net.Listener, connections int) *Listener {
	return &Listener{Listener: l, limit: func() int64 { return int64(connections) }}
}

// conn is a connection with what is known of its peer.
type conn struct {
	net.Conn
	peer  auth.Peer
	tls   *tls.Config
	close func()
}

// Accept gives the next connection. Those beyond the limit are closed at once:
// to leave them waiting would only hide them from their clients' timeouts.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) > l.limit() {
			l.open.Add(-1)
			l.metrics.refusedConnection(l.name)
			_ = raw.Close() // it was never used
			continue
		}
		l.metrics.connection(l.name, 1)
		c := &conn{Conn: raw, tls: l.tls, close: sync.OnceFunc(func() {
			l.open.Add(-1)
			l.metrics.connection(l.name, -1)
		})}
		if c.peer, err = peerOf(raw); err != nil {
			_ = c.Close() // it was never used
			continue
		}
		if l.serial != nil {
			c.peer.Connection = l.serial.Add(1)
		}
		return c, nil
	}
}

// Close ends the connection and gives its place back.
func (c *conn) Close() error {
	c.close()
	return c.Conn.Close()
}

// peerOf asks the kernel who is at the other end.
func peerOf(c net.Conn) (auth.Peer, error) {
	switch c := c.(type) {
	case *net.UnixConn:
		raw, err := c.SyscallConn()
		if err != nil {
			return auth.Peer{}, fmt.Errorf("peer of a local socket: %w", err)
		}
		var cred *unix.Ucred
		var credErr error
		err = raw.Control(func(fd uintptr) {
			cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		})
		if err == nil {
			err = credErr
		}
		if err != nil {
			return auth.Peer{}, fmt.Errorf("peer of a local socket: %w", err)
		}
		return auth.Peer{Socket: true, Loopback: true, UID: cred.Uid, GID: cred.Gid}, nil
	case *net.TCPConn:
		addr, ok := c.RemoteAddr().(*net.TCPAddr)
		return auth.Peer{Loopback: ok && addr.IP.IsLoopback()}, nil
	}
	return auth.Peer{}, nil
}
