package nbd

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// output sends the replies of a connection. Whoever brings a reply while
// nobody is writing writes it, and then what others have brought meanwhile, all
// of it at once; so a reply never waits for more than the write under way.
type output struct {
	conn *conn
	raw  syscall.RawConn // of a plain socket, for files; else nil

	mu    sync.Mutex
	busy  bool     // someone writes
	queue []*reply // not yet being written
	err   error    // of the first write that failed

	vec net.Buffers // the writer's, kept for its memory
}

func newOutput(c *conn) *output {
	o := &output{conn: c}
	if s, ok := c.net.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			o.raw = raw
		}
	}
	return o
}

// send brings replies, which are output's from now on, and returns when they
// are written or someone else is to write them. After a failed write the
// connection is closed, and replies are dropped.
func (o *output) send(replies ...*reply) {
	o.mu.Lock()
	o.queue = append(o.queue, replies...)
	if o.busy {
		o.mu.Unlock()
		return
	}
	o.busy = true
	var batch []*reply
	for len(o.queue) > 0 {
		batch, o.queue = o.queue, batch[:0]
		err := o.err
		o.mu.Unlock()
		if err == nil {
			waiting(&o.conn.writing)
			err = o.write(batch)
			o.conn.writing.Store(0)
		}
		for i, p := range batch {
			p.release()
			batch[i] = nil
		}
		if err != nil {
			o.conn.abort(err)
		}
		o.mu.Lock()
		o.err = err
	}
	o.busy = false
	o.mu.Unlock()
}

// write writes a batch.
func (o *output) write(batch []*reply) error {
	vec := o.vec[:0]
	for _, p := range batch {
		if p.headLen > 0 {
			vec = append(vec, p.head[:p.headLen])
		}
		if len(p.body) > 0 {
			vec = append(vec, p.body)
		}
		if p.fileLen == 0 {
			continue
		}
		if err := o.writeVec(vec); err != nil {
			return err
		}
		vec = vec[:0]
		if err := o.writeFile(p.fileOff, p.fileLen); err != nil {
			return err
		}
	}
	o.vec = vec
	return o.writeVec(vec)
}

func (o *output) writeVec(vec net.Buffers) error {
	switch len(vec) {
	case 0:
		return nil
	case 1:
		_, err := o.conn.net.Write(vec[0])
		return err
	}
	_, err := vec.WriteTo(o.conn.net)
	return err
}

// writeFile hands a range of the device to the socket.
func (o *output) writeFile(off, n int64) error {
	var failed error
	err := o.raw.Write(func(fd uintptr) bool {
		for n > 0 {
			sent, err := o.conn.dev.sender.SendTo(int(fd), off, n)
			off += sent
			n -= sent
			if err == unix.EAGAIN {
				waiting(&o.conn.writing)
				return false
			}
			if err == nil && sent == 0 {
				err = io.ErrUnexpectedEOF
			}
			if err != nil {
				failed = err
				return true
			}
		}
		return true
	})
	return errors.Join(failed, err)
}
