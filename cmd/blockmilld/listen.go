package main

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"

	"github.com/blockmill/blockmill/cmd/socket"
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
// those that the configuration names. The path is that of a socket, if there is one.
func (in inherited) listen(name, path string, addresses []string) ([]net.Listener, error) {
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
	if path != "" {
		l, err := socket.Listen(path, socketMode)
		if errors.Is(err, socket.ErrLongPath) {
			err = fmt.Errorf("%w; choose another run_dir", err)
		}
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

// rest says which handed sockets nobody took.
func (in inherited) rest() string {
	var names []string
	for name := range in {
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
