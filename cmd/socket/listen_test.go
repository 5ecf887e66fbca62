package socket_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/blockmill/blockmill/cmd/socket"
)

func listen(t *testing.T, path string, mode fs.FileMode) net.Listener {
	t.Helper()
	l, err := socket.Listen(path, mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // some are closed already
	return l
}

// The mode is that which was asked for, whatever the mask of the process is.
func TestMode(t *testing.T) {
	for _, mode := range []fs.FileMode{0o600, 0o660, 0o666} {
		path := filepath.Join(t.TempDir(), "socket")
		l := listen(t, path, mode)
		if info, err := os.Stat(path); err != nil || info.Mode() != fs.ModeSocket|mode {
			t.Errorf("mode %v, want %v, error %v", info.Mode(), mode, err)
		}
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.Close(), l.Close()); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("left over: %v", err)
		}
	}
}

// A socket that is named from the working directory is removed from there, too.
func TestRelative(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	l := listen(t, "socket", 0o600)
	t.Chdir("/")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "socket")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left over: %v", err)
	}
}

func TestAbandoned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	l := listen(t, path, 0o600)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	listen(t, path, 0o600)
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	listen(t, path, 0o600)
	if _, err := socket.Listen(path, 0o600); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listen where somebody does: %v", err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// A file that is no socket stays as it is.
func TestOtherFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := socket.Listen(path, 0o600); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listen at a file: %v", err)
	}
	if p, err := os.ReadFile(path); err != nil || string(p) != "content" {
		t.Errorf("the file has %q, error %v", p, err)
	}
}

func TestLongPath(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, strings.Repeat("a", 107-len(dir)-1))
	listen(t, path, 0o600)
	if _, err := socket.Listen(path+"a", 0o600); !errors.Is(err, socket.ErrLongPath) {
		t.Errorf("listen at a path of 108 bytes: %v", err)
	}
}
