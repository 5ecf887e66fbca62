package nbd_test

import (
	"net"
	"path/filepath"
	"sync"
	"testing"

	"github.com/blockmill/blockmill/blockio/nbd"
)

// socket is the address of a Unix socket on which exports are served.
type socket string

func listen(t *testing.T, exports nbd.Exports, sec nbd.Security) socket {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "sock"))
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, l, exports, sec)
	return socket(l.Addr().String())
}

// serveOn serves exports on a listener until the test ends.
func serveOn(t *testing.T, l net.Listener, exports nbd.Exports, sec nbd.Security) {
	t.Helper()
	s := nbd.New(exports, nbd.Options{})
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(l, sec); err != nbd.ErrClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
}

func (s socket) connect(t *testing.T) *client {
	t.Helper()
	conn, err := net.Dial("unix", string(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, Conn: conn}
}
