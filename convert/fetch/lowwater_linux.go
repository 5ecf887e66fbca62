package fetch

import (
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lowWater is how much of a body that comes fast wakes its reader, in bytes: each
// time costs a change of threads, and the rest of the pipeline wants the processor.
const lowWater = 128 << 10

// slowRead is how long a read may take before its connection is slow: then whatever
// comes wakes the reader, who has to see that something does.
const slowRead = time.Second

// bodyConn is a TCP connection that wakes whoever reads much of a body from it for
// much at a time (SO_RCVLOWAT of socket(7)). Over TLS it does nothing, since records
// are less. A read never waits for more than it asked for, nor past the end of the
// stream.
//
// It is read by one goroutine.
type bodyConn struct {
	net.Conn
	raw  syscall.RawConn
	fast bool // the last long read was
	low  int  // as the socket has it
}

// newBodyConn takes over a connection that was dialed, or what became of that.
func newBodyConn(c net.Conn, err error) (net.Conn, error) {
	tcp, ok := c.(*net.TCPConn)
	if err != nil || !ok {
		return c, err
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, tcp.Close())
	}
	return &bodyConn{Conn: tcp, raw: raw, low: 1}, nil
}

// Read reads as net.Conn says.
func (c *bodyConn) Read(p []byte) (int, error) {
	long := len(p) >= lowWater
	low := 1
	if long && c.fast {
		low = lowWater
	}
	if low != c.low {
		c.setLow(low)
	}
	if !long {
		return c.Conn.Read(p)
	}
	begun := time.Now()
	n, err := c.Conn.Read(p)
	c.fast = n >= lowWater/4 && time.Since(begun) < slowRead
	return n, err
}

// setLow tells the socket. One that does not take it goes on as it is.
func (c *bodyConn) setLow(low int) {
	_ = c.raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, low) == nil {
			c.low = low
		}
	})
}
