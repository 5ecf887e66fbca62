package nbd_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio/nbd"
)

// faulty is a listener whose Accept gives errors, one after another.
type faulty struct {
	*pipes
	errs []error
}

func (f *faulty) Accept() (net.Conn, error) {
	if len(f.errs) == 0 {
		return f.pipes.Accept()
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	return nil, &net.OpError{Op: "accept", Net: "unix", Err: os.NewSyscallError("accept4", err)}
}

// An error that concerns the moment does not end a server, others do.
func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := nbd.New(nil, nbd.Options{})
		defer s.Close()
		l := &faulty{newPipes(), []error{unix.EMFILE, unix.ECONNABORTED, unix.EBADF}}
		if err := s.Serve(l, nbd.Security{}); !errors.Is(err, unix.EBADF) || len(l.errs) > 0 {
			t.Errorf("Serve: %v, %d errors left", err, len(l.errs))
		}
	})
}
