package nbd

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// conn is one connection, from the handshake to its end.
type conn struct {
	// Immutable.
	server *Server
	plain  net.Conn // below TLS
	sec    Security
	life   context.Context
	end    context.CancelCauseFunc // of life

	// Set by the handshake, immutable from then on.
	net        net.Conn // plain, or TLS over it
	who        Identity
	structured bool // replies
	allocation bool // the client wants base:allocation
	export     *Export
	dev        device

	// since is when the client was last waited for in the middle of something,
	// in nanoseconds of the clock; 0 when it is not. One for each direction.
	reading, writing atomic.Int64

	aborted  sync.Once
	draining atomic.Bool
}

func newConn(s *Server, nc net.Conn, sec Security) *conn {
	c := &conn{server: s, plain: nc, net: nc, sec: sec, who: identify(nc)}
	c.life, c.end = context.WithCancelCause(s.life)
	return c
}

// serve runs the connection and closes it.
func (c *conn) serve() {
	m := c.server.opts.Metrics
	m.opened()
	defer m.closed()
	err := c.negotiate()
	if err == nil {
		err = c.transmit()
	}
	if cause := context.Cause(c.life); cause != nil {
		err = cause
	}
	c.abort(err)
	if c.export != nil {
		err = errors.Join(err, c.export.close())
	}
	if err != nil && !errors.Is(err, errDone) && !errors.Is(err, ErrClosed) {
		c.server.opts.Logger.Warn("NBD connection ended", "peer", c.who.Peer, "reason", err)
	}
}

// errDone says that the client ended the connection as it should.
var errDone = errors.New("done")

// abort closes the connection under everyone who uses it.
func (c *conn) abort(cause error) {
	c.aborted.Do(func() {
		c.end(cause)
		_ = c.plain.Close() // nothing is left to do about it
	})
}

// drain makes the connection end at the next boundary of requests.
func (c *conn) drain() {
	c.draining.Store(true)
	_ = c.plain.SetReadDeadline(time.Now()) // closed already is as good
}

// ended is what the end of the stream means, at a boundary of requests.
func (c *conn) ended(err error) error {
	if c.draining.Load() {
		return ErrClosed
	}
	if errors.Is(err, io.EOF) {
		return errDone
	}
	return err
}

// stalled says whether the client has been waited for too long.
func (c *conn) stalled(now time.Time) bool {
	limit := now.Add(-c.server.opts.StallTime).UnixNano()
	for _, since := range []int64{c.reading.Load(), c.writing.Load()} {
		if since != 0 && since < limit {
			return true
		}
	}
	return false
}

// waiting notes in one of the two fields that the client is waited for; the
// caller ends it by storing 0.
func waiting(since *atomic.Int64) { since.Store(time.Now().UnixNano()) }
