package nbd

import (
	"net"
	"net/url"
)

// URI is the address of an export as NBD clients take it, QEMU, nbdcopy and
// nbdinfo among them. An empty name is the default export.
func URI(addr net.Addr, name string, tls bool) string {
	scheme, path := "nbd", (&url.URL{Path: "/" + name}).EscapedPath()
	if tls {
		scheme = "nbds"
	}
	if a, ok := addr.(*net.UnixAddr); ok {
		return scheme + "+unix://" + path + "?socket=" + (&url.URL{Path: a.Name}).EscapedPath()
	}
	return scheme + "://" + addr.String() + path
}
