package nbd

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// request is the head of a request of the transmission phase.
//
//	offset size field
//	0      4    magicRequest
//	4      2    flags
//	6      2    command
//	8      8    cookie, which the reply repeats
//	16     8    offset in bytes
//	24     4    length in bytes
type request struct {
	flags  uint16
	cmd    command
	cookie uint64
	off    uint64
	n      uint32
	began  time.Time
}

const requestSize = 28

func parseRequest(p []byte) (r request, ok bool) {
	return request{
		flags:  binary.BigEndian.Uint16(p[4:]),
		cmd:    command(binary.BigEndian.Uint16(p[6:])),
		cookie: binary.BigEndian.Uint64(p[8:]),
		off:    binary.BigEndian.Uint64(p[16:]),
		n:      binary.BigEndian.Uint32(p[24:]),
	}, binary.BigEndian.Uint32(p) == magicRequest
}

func (r request) fua() bool { return r.flags&reqFUA != 0 }

// allowedFlags are the flags that each command may have; FUA may be on all.
var allowedFlags = [commands]uint16{
	cmdRead:        reqDF,
	cmdWriteZeroes: reqNoHole | reqFastZero,
	cmdBlockStatus: reqOne,
}

// check says what is wrong with a request, nil when nothing is.
func (c *conn) check(r request) error {
	size := uint64(c.dev.size)
	allowed := uint16(0)
	if int(r.cmd) < len(allowedFlags) {
		allowed = allowedFlags[r.cmd] | reqFUA
	}
	if !c.structured {
		allowed &^= reqDF | reqOne
	}
	inside := r.off <= size && uint64(r.n) <= size-r.off
	switch {
	case r.cmd > cmdBlockStatus, r.flags&^allowed != 0:
		return errInvalid
	case r.cmd == cmdFlush:
		if r.off != 0 || r.n != 0 {
			return errInvalid
		}
		return nil
	case r.cmd.changes() && c.dev.writer == nil:
		return errPermission
	case r.n == 0:
		return errInvalid
	case !inside && (r.cmd == cmdWrite || r.cmd == cmdWriteZeroes):
		return errNoSpace
	case !inside:
		return errInvalid
	case r.cmd == cmdRead && int64(r.n) > int64(c.server.opts.MaxRequest):
		return errInvalid
	case r.cmd == cmdBlockStatus && !c.allocation:
		return errInvalid
	}
	return nil
}

// requestReader reads requests and their payloads, as much at a time as the
// connection has. It is the reading goroutine's.
type requestReader struct {
	conn *conn
	buf  []byte
	r, w int // buf[r:w] is read and not yet taken
}

// ready says whether a whole request is there, so that next does not wait.
func (in *requestReader) ready() bool { return in.w-in.r >= requestSize }

// next takes the next request. io.EOF says that the stream ended at a boundary.
func (in *requestReader) next() (request, error) {
	for !in.ready() {
		if err := in.fill(); err != nil {
			if err == io.EOF && in.w > in.r {
				err = io.ErrUnexpectedEOF
			}
			return request{}, err
		}
	}
	r, ok := parseRequest(in.buf[in.r:in.w])
	in.r += requestSize
	if !ok {
		return r, fmt.Errorf("%w: request without its magic number", errProtocol)
	}
	r.began = time.Now()
	return r, nil
}

// fill reads what the connection has. The client is waited for only in the
// middle of a request.
func (in *requestReader) fill() error {
	if in.r > 0 {
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	}
	if in.w > 0 {
		waiting(&in.conn.reading)
		defer in.conn.reading.Store(0)
	}
	n, err := in.conn.net.Read(in.buf[in.w:])
	in.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// payload reads all of p.
func (in *requestReader) payload(p []byte) error {
	n := copy(p, in.buf[in.r:in.w])
	in.r += n
	for p = p[n:]; len(p) > 0; p = p[n:] {
		waiting(&in.conn.reading)
		var err error
		n, err = in.conn.net.Read(p)
		in.conn.reading.Store(0)
		if n == 0 && err != nil {
			return fmt.Errorf("read payload: %w", noEOF(err))
		}
	}
	return nil
}

// skip drops n bytes of payload.
func (in *requestReader) skip(n int64) error {
	for n > 0 {
		if in.r == in.w {
			in.r, in.w = 0, 0
			waiting(&in.conn.reading)
			err := in.fill()
			in.conn.reading.Store(0)
			if err != nil {
				return fmt.Errorf("skip payload: %w", noEOF(err))
			}
		}
		k := int(min(n, int64(in.w-in.r)))
		in.r += k
		n -= int64(k)
	}
	return nil
}

// noEOF is the error when the stream must not end.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// gather reads until n bytes of payload are there, which the buffer has room
// for, and returns them; they are taken by drop.
func (in *requestReader) gather(n int) ([]byte, error) {
	for !in.holds(n) {
		waiting(&in.conn.reading)
		err := in.fill()
		in.conn.reading.Store(0)
		if err != nil {
			return nil, fmt.Errorf("read payload: %w", noEOF(err))
		}
	}
	return in.buf[in.r : in.r+n], nil
}

// drop takes n bytes that are there.
func (in *requestReader) drop(n int) { in.r += n }

// holds says whether n bytes of payload are there already.
func (in *requestReader) holds(n int) bool { return in.w-in.r >= n }
