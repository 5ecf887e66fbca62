package compute

import (
	"context"
	"net"
	"time"
)

// sendTimeout is how long a storage may take nothing of what it is sent, unless that
// of sources says otherwise.
const sendTimeout = 30 * time.Second

// storageConn is a connection to a storage, which may be slow and must not stand
// still.
type storageConn struct {
	net.Conn
	idle time.Duration
}

// Write writes as net.Conn says, and fails when nothing of it is taken. The answer's
// time begins again.
func (c *storageConn) Write(p []byte) (int, error) {
	now := time.Now()
	if err := c.SetWriteDeadline(now.Add(c.idle)); err != nil {
		return 0, err
	}
	if err := c.SetReadDeadline(now.Add(headerTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// storageDial dials connections of storages.
func storageDial(
	dial func(ctx context.Context, network, addr string) (net.Conn, error), idle time.Duration,
) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &storageConn{c, idle}, nil
	}
}
