package server

import (
	"container/list"
	"sync"
)

// newcomers are the connections on which nobody has called whom the server knows.
// Where there are too many connections they make room, the oldest first: whoever
// only opens connections cannot keep others from the server.
type newcomers struct {
	mu    sync.Mutex
	order list.List                // of *conn, the oldest first
	at    map[uint64]*list.Element // by the number of the connection
}

func (n *newcomers) add(c *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.at == nil {
		n.at = make(map[uint64]*list.Element)
	}
	n.at[c.peer.Connection] = n.order.PushBack(c)
}

// remove takes a connection out, whose caller is known or which is closed.
func (n *newcomers) remove(connection uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e := n.at[connection]; e != nil {
		n.order.Remove(e)
		delete(n.at, connection)
	}
}

// oldest is the connection of a listener that makes room; nil without one.
func (n *newcomers) oldest(l *Listener) *conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	for e := n.order.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*conn); c.listener == l {
			return c
		}
	}
	return nil
}
