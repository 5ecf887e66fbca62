package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
)

// socketMode lets the socket's owner and group connect.
const socketMode = 0o660

// inherited are the sockets that systemd has handed over, by the names that their
// units give them.
type inherited map[string][]net.Listener

func inheritedListeners() (inherited, error) {
	named, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("take sockets from systemd: %w", err)
	}
	return named, nil
}

// listen gives the listeners of a service: those that systemd has for it, or else
// those that the configuration names.
func (in inherited) listen(name, socket string, addresses []string) ([]net.Listener, error) {
	if handed := in[name]; len(handed) > 0 {
		delete(in, name)
		return handed, nil
	}
	var all []net.Listener
	fail := func(err error) ([]net.Listener, error) {
		for _, l := range all {
			err = errors.Join(err, l.Close())
		}
		return nil, err
	}
	if socket != "" {
		l, err := listenUnix(socket)
		if err != nil {
			return fail(err)
		}
		all = append(all, l)
	}
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fail(fmt.Errorf("%s: %w", name, err))
		}
		all = append(all, l)
	}
	return all, nil
}

// longestSocket is the longest path that a socket's address holds.
const longestSocket = 107

// listenUnix listens at a path. A socket that an earlier daemon left there is
// removed: the lock of the store tells that it does not run any more.
func listenUnix(path string) (net.Listener, error) {
	if len(path) > longestSocket {
		return nil, fmt.Errorf("listen at %s: the path is longer than the %d bytes of a socket's; choose another run_dir", path, longestSocket)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remove old socket: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// rest says which handed sockets nobody took.
func (in inherited) rest() string {
	var names []string
	for name := range in {
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
