package nbd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/blockmill/blockmill/blockio"
)

// transmission is the phase in which a connection serves requests.
type transmission struct {
	*conn
	in  requestReader
	out *output

	slots   chan struct{}       // one for each request in flight
	bytes   *semaphore.Weighted // that requests in flight carry
	workers sync.WaitGroup

	// The reading goroutine's: the buffer it answers into, and how much of that
	// is filled. The other buffer is in free or on its way out.
	answers []byte
	filled  int
	free    chan []byte

	beginning sync.Mutex // held by who calls BeginWrite
	begun     atomic.Bool
}

// transmit serves requests until the client has none any more.
func (c *conn) transmit() error {
	opts := &c.server.opts
	slab, err := opts.Arena.Get(c.life, slabSize)
	if err != nil {
		return err
	}
	defer slab.Release()
	p := slab.Bytes()
	t := &transmission{
		conn: c, in: requestReader{conn: c, buf: p[:readBuffer:readBuffer]}, out: newOutput(c),
		slots:   make(chan struct{}, opts.InFlight),
		bytes:   semaphore.NewWeighted(opts.Arena.Limit() / 4),
		answers: p[readBuffer : readBuffer+replyBuffer : readBuffer+replyBuffer],
		free:    make(chan []byte, 2),
	}
	t.free <- p[readBuffer+replyBuffer:]
	err = t.serve()
	if !errors.Is(err, errDone) && !errors.Is(err, ErrClosed) {
		c.abort(err)
	}
	t.flush()
	t.workers.Wait()
	return err
}

// serve reads requests and has them served.
func (t *transmission) serve() error {
	for !t.draining.Load() {
		if !t.in.ready() {
			t.flush()
		}
		r, err := t.in.next()
		if err != nil {
			return t.ended(err)
		}
		if r.cmd == cmdDisconnect {
			return errDone
		}
		if err := t.accept(r); err != nil {
			return err
		}
	}
	return ErrClosed
}

// accept checks a request and answers it at once, or gives it to a worker.
func (t *transmission) accept(r request) error {
	if err := t.check(r); err != nil {
		return t.reject(r, err)
	}
	switch r.cmd {
	case cmdRead:
		if t.readInline(r) || t.readResident(r) {
			return nil
		}
	case cmdWrite:
		return t.acceptWrite(r)
	}
	return t.dispatch(r, nil)
}

// reject answers a request that must not be served; its payload is skipped.
func (t *transmission) reject(r request, cause error) error {
	if r.cmd == cmdWrite {
		if int64(r.n) > int64(t.server.opts.MaxRequest) {
			return fmt.Errorf("%w: write of %d bytes", errProtocol, r.n)
		}
		if err := t.in.skip(int64(r.n)); err != nil {
			return err
		}
	}
	t.answer(r, cause)
	return nil
}

// acceptWrite reads the payload of a write.
func (t *transmission) acceptWrite(r request) error {
	if int64(r.n) > int64(t.server.opts.MaxRequest) {
		return fmt.Errorf("%w: write of %d bytes", errProtocol, r.n)
	}
	if done, err := t.writeInline(r); done || err != nil {
		return err
	}
	if !t.in.holds(int(r.n)) {
		t.flush()
	}
	if err := t.reserve(int64(r.n)); err != nil {
		return err
	}
	buf, err := t.server.opts.Arena.Get(t.life, int(r.n))
	if err == nil {
		if err = t.in.payload(buf.Bytes()); err != nil {
			buf.Release()
		}
	}
	if err != nil {
		t.bytes.Release(int64(r.n))
		return err
	}
	return t.dispatch(r, buf)
}

// reserve waits until n bytes more may be in flight.
func (t *transmission) reserve(n int64) error {
	if t.bytes.TryAcquire(n) {
		return nil
	}
	t.flush()
	return t.bytes.Acquire(t.life, n)
}

// carried is how many bytes a request reserves while it is in flight.
func (r request) carried() int64 {
	if r.cmd == cmdRead || r.cmd == cmdWrite {
		return int64(r.n)
	}
	return 0
}

// dispatch starts a worker. buf is the payload of a write, for which bytes are
// reserved already.
func (t *transmission) dispatch(r request, buf *blockio.Buffer) error {
	if buf == nil {
		if err := t.reserve(r.carried()); err != nil {
			return err
		}
	}
	select {
	case t.slots <- struct{}{}:
	default:
		t.flush()
		select {
		case t.slots <- struct{}{}:
		case <-t.life.Done():
			t.bytes.Release(r.carried())
			if buf != nil {
				buf.Release()
			}
			return context.Cause(t.life)
		}
	}
	t.workers.Go(func() { t.work(r, buf) })
	return nil
}

// retire ends a request's time in flight.
func (t *transmission) retire(r request) {
	t.bytes.Release(r.carried())
	<-t.slots
}

// answer puts a reply without data into the reading goroutine's buffer.
func (t *transmission) answer(r request, err error) {
	if len(t.answers)-t.filled < maxHead {
		t.flush()
	}
	t.filled += t.putStatus(t.answers[t.filled:], r, err)
	t.count(r, err)
}

// flush sends what the reading goroutine has answered, and waits until it has a
// buffer again.
func (t *transmission) flush() {
	if t.filled == 0 {
		return
	}
	buf := t.answers
	t.out.send(&reply{body: buf[:t.filled], done: func() { t.free <- buf }})
	t.answers, t.filled = <-t.free, 0
}

// count notes a request that is answered.
func (t *transmission) count(r request, err error) {
	t.server.opts.Metrics.request(r, time.Since(r.began), err)
}
