package server

import (
	"net"
	"sync"
	"time"
)

// answering is a connection of gRPC that knows which calls are answered in full.
// The library has done with a call when its method has, though a client that takes
// nothing (RFC 9113, 5.2) makes it keep the answer: such a call keeps its place
// here until the answer has gone out, and a connection on which none does for a time
// is closed.
type answering struct {
	net.Conn
	patience time.Duration

	in, out frameScanner // in is of the one reader, out of the one writer

	mu       sync.Mutex
	closed   bool
	last     uint32              // the latest stream of the client
	open     map[uint32]struct{} // streams that are not answered in full
	running  int                 // calls whose methods are at work
	unsent   []func()            // give back the places of those that are not, the oldest first
	deadline time.Time           // of the next end of a stream, while there are unsent
	timer    *time.Timer         // closes the connection at the deadline; nil before the first
}

func newAnswering(c net.Conn, patience time.Duration) *answering {
	return &answering{Conn: c, patience: patience, in: frameScanner{skip: clientPreface}, open: make(map[uint32]struct{})}
}

// Read reads as net.Conn says.
func (a *answering) Read(p []byte) (int, error) {
	n, err := a.Conn.Read(p)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.in.scan(p[:n], func(f frame) {
		switch {
		case f.kind == frameRSTStream:
			a.answered(f.stream)
		case f.kind == frameHeaders && f.stream > a.last: // others end a request
			a.last = f.stream
			a.open[f.stream] = struct{}{}
		}
	})
	return n, err
}

// Write writes as net.Conn says.
func (a *answering) Write(p []byte) (int, error) {
	n, err := a.Conn.Write(p)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.out.scan(p[:n], func(f frame) {
		if f.kind == frameData {
			a.deadline = a.deadline.Add(time.Duration(f.length) * time.Second / bytesPerSecond)
		}
		if f.endsStream() {
			a.answered(f.stream)
		}
	})
	return n, err
}

// begin notes a call that got its place; end must follow, with what gives it back.
func (a *answering) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running++
}

// end notes that a call's method has ended.
func (a *answering) end(leave func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running--
	if len(a.unsent) == 0 {
		a.deadline = time.Now().Add(a.patience)
	}
	a.unsent = append(a.unsent, leave)
	a.settle()
	if len(a.unsent) == 0 || a.timer != nil {
		return
	}
	a.timer = time.AfterFunc(a.patience, a.look)
}

// answered notes the end of a stream; mu is held.
func (a *answering) answered(stream uint32) {
	if _, ok := a.open[stream]; !ok {
		return
	}
	delete(a.open, stream)
	a.deadline = time.Now().Add(a.patience)
	a.settle()
}

// settle gives places back: those that are left are as many as streams are open on
// which no method is at work. mu is held.
func (a *answering) settle() {
	for len(a.unsent) > 0 && (a.closed || len(a.unsent) > len(a.open)-a.running) {
		a.unsent[0]()
		a.unsent = a.unsent[1:]
	}
}

// look closes the connection at the deadline.
func (a *answering) look() {
	a.mu.Lock()
	left := time.Until(a.deadline)
	late := len(a.unsent) > 0 && left <= 0
	switch {
	case late, a.closed:
	case len(a.unsent) == 0:
		a.timer = nil
	default:
		a.timer.Reset(left)
	}
	a.mu.Unlock()
	if late {
		_ = a.Close() // the library hears of it by reading
	}
}

// Close closes the connection, and gives all places back.
func (a *answering) Close() error {
	a.mu.Lock()
	a.closed = true
	if a.timer != nil {
		a.timer.Stop()
	}
	a.settle()
	a.mu.Unlock()
	return a.Conn.Close()
}
