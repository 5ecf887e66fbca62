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
	server  *Server // numbers connections, and knows their callers; nil: nobody does
}

// Bound bounds the connections of a listener that is not a Server's own.
func Bound(l net.Listener, connections int) *Listener {
	return &Listener{Listener: l, limit: func() int64 { return int64(connections) }}
}

// conn is a connection with what is known of its peer.
type conn struct {
	net.Conn
	listener *Listener
	peer     auth.Peer
	tls      *tls.Config
	close    func()
}

// Accept gives the next connection. Beyond the limit the oldest makes room on which
// nobody known has called; without such a one it is closed at once: to leave it
// waiting would only hide it from its client's timeouts.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) > l.limit() && !l.makeRoom() {
			l.open.Add(-1)
			l.metrics.refusedConnection(l.name)
			_ = raw.Close() // it was never used
			continue
		}
		l.metrics.connection(l.name, 1)
		c := &conn{Conn: raw, listener: l, tls: l.tls}
		c.close = sync.OnceFunc(func() {
			l.open.Add(-1)
			l.metrics.connection(l.name, -1)
			if l.server != nil {
				l.server.newcomers.remove(c.peer.Connection)
			}
		})
		if c.peer, err = peerOf(raw); err != nil {
			_ = c.Close() // it was never used
			continue
		}
		if l.server != nil {
			c.peer.Connection = l.server.serial.Add(1)
			l.server.newcomers.add(c)
		}
		return c, nil
	}
}

// makeRoom closes a connection for another, if there is one to close.
func (l *Listener) makeRoom() bool {
	if l.server == nil {
		return false
	}
	c := l.server.newcomers.oldest(l)
	if c == nil {
		return false
	}
	l.metrics.refusedConnection(l.name)
	_ = c.Close() // nobody is told of an error
	return true
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
