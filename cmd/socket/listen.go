// Package socket listens on Unix sockets for the programs. Its functions are safe for
// concurrent use; two that listen at one path at once may both take over what a process
// left there, and one of them is then not heard.
package socket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// longest is the longest path that a socket's address holds, in bytes.
const longest = len(unix.RawSockaddrUnix{}.Path) - 1

// ErrLongPath says that no socket can have a path.
var ErrLongPath = fmt.Errorf("the path is longer than the %d bytes of a socket's", longest)

// Listen listens at a path. Whom the mode does not let connect can at no time. A socket
// that a process left behind when it died is replaced; one that somebody listens at, and
// any other file, is EADDRINUSE.
func Listen(path string, mode fs.FileMode) (net.Listener, error) {
	// The socket is removed by this name when it is closed.
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if len(path) > longest {
		return nil, fmt.Errorf("listen at %s: %w", path, ErrLongPath)
	}
	l, err := listen(path, mode)
	if errors.Is(err, syscall.EADDRINUSE) && abandoned(path) {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remove old socket: %w", err)
		}
		l, err = listen(path, mode)
	}
	return l, err
}

func listen(path string, mode fs.FileMode) (net.Listener, error) {
	// The file begins with the mode that the socket has when it is bound, less the
	// mask of the process.
	bound := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var changed error
		err := c.Control(func(fd uintptr) { changed = unix.Fchmod(int(fd), uint32(mode.Perm())) })
		return errors.Join(err, changed)
	}}
	l, err := bound.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, mode.Perm()); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// abandoned says whether a path is that of a socket at which nobody listens.
func abandoned(path string) bool {
	if info, err := os.Lstat(path); err != nil || info.Mode()&fs.ModeSocket == 0 {
		return false
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		_ = c.Close() // it was only to see
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}
