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

	// The writer's: what it writes next, and how many bytes that is.
	vec  net.Buffers
	size int
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
	for _, p := range batch {
		err := o.add(p.head[:p.headLen])
		if err == nil {
			err = o.add(p.body)
		}
		if err == nil && p.fileLen > 0 {
			if err = o.writeVec(); err == nil {
				err = o.writeFile(p.fileOff, p.fileLen)
			}
		}
		if err != nil {
			return err
		}
	}
	return o.writeVec()
}

// writeUnit is how much is written at a time: a client that takes as much within
// the stall time has not stalled.
const writeUnit = 1 << 20

// add adds bytes to what is written next, and writes that when it is enough.
func (o *output) add(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), writeUnit-o.size)
		o.vec = append(o.vec, p[:n])
		o.size += n
		p = p[n:]
		if o.size < writeUnit {
			continue
		}
		if err := o.writeVec(); err != nil {
			return err
		}
	}
	return nil
}

// writeVec writes what was added.
func (o *output) writeVec() error {
	vec := o.vec
	defer func() { o.vec, o.size = vec[:0], 0 }()
	waiting(&o.conn.writing)
	switch len(vec) {
	case 0:
		return nil
	case 1:
		_, err := o.conn.net.Write(vec[0])
		return err
	}
	rest := vec
	_, err := rest.WriteTo(o.conn.net)
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
