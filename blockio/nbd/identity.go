package nbd

import (
	"crypto/tls"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// Identity is who a client is, as far as the connection tells.
type Identity struct {
	// Name is the name in the certificate that the client showed, and the
	// server's authorities signed: its common name, or else its first DNS name
	// or URI. It is empty without a certificate.
	Name string
	// Local says that the client is a process of this machine that came over a
	// Unix socket; UID and PID are that process's.
	Local    bool
	UID, PID int
	// Peer tells clients apart: a process of this machine, or a name at an
	// address. All connections of one client have the same.
	Peer string
	// TLS says that the connection is encrypted.
	TLS bool
}

// identify tells who is at the other end of a connection.
func identify(c net.Conn) Identity {
	if u, ok := c.(*net.UnixConn); ok {
		if cred, err := credentials(u); err == nil {
			return Identity{
				Local: true, UID: int(cred.Uid), PID: int(cred.Pid),
				Peer: fmt.Sprintf("process %d of user %d", cred.Pid, cred.Uid),
			}
		}
	}
	host := c.RemoteAddr().String()
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return Identity{Peer: host}
}

func credentials(c *net.UnixConn) (cred *unix.Ucred, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if controlErr != nil {
		return nil, controlErr
	}
	return cred, err
}

// encrypted is the identity once TLS is on.
func (id Identity) encrypted(state tls.ConnectionState) Identity {
	id.TLS = true
	if len(state.VerifiedChains) == 0 {
		return id
	}
	cert := state.PeerCertificates[0]
	switch {
	case cert.Subject.CommonName != "":
		id.Name = cert.Subject.CommonName
	case len(cert.DNSNames) > 0:
		id.Name = cert.DNSNames[0]
	case len(cert.URIs) > 0:
		id.Name = cert.URIs[0].String()
	}
	id.Peer = fmt.Sprintf("%s at %s", id.Name, id.Peer)
	return id
}
