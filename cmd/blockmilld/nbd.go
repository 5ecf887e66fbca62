package main

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/blockio/nbd"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/export"
)

// diskURI is where NBD clients on this machine find a disk, "" when there is no
// server.
func (d *daemon) diskURI(id pool.DiskID) string {
	name := export.Name(export.Disk, string(id))
	if d.paths.nbdSocket != "" {
		return nbd.URI(&net.UnixAddr{Name: d.paths.nbdSocket, Net: "unix"}, name, false)
	}
	if len(d.conf.NBD.Listen) == 0 {
		return ""
	}
	addr, err := net.ResolveTCPAddr("tcp", d.conf.NBD.Listen[0])
	if err != nil {
		return ""
	}
	return nbd.URI(addr, name, d.conf.NBD.TLS.enabled())
}

// listenNBD serves the node's images, snapshots and disks to NBD clients.
func (d *daemon) listenNBD() error {
	listeners, err := d.inherited.listen("nbd", d.paths.nbdSocket, d.conf.NBD.Listen)
	if err != nil || len(listeners) == 0 {
		return err
	}
	cfg, err := d.tls(d.conf.NBD.TLS)
	if err != nil {
		return err
	}
	exports := export.New(export.Options{
		Node: d.node, Store: d.store.Store, Allow: d.mayUse,
		Folders: func() []pool.FolderID {
			var all []pool.FolderID
			for _, name := range d.folders() {
				all = append(all, pool.FolderID(name))
			}
			return all
		},
	})
	d.nbd = nbd.New(exports, nbd.Options{Arena: d.memory.nbd, Logger: d.log, Metrics: nbd.NewMetrics(d.registry)})
	for _, l := range listeners {
		sec := nbd.Security{TLS: cfg, Required: cfg != nil}
		if l.Addr().Network() == "unix" {
			sec = nbd.Security{}
		}
		d.serveOn(l, func(l net.Listener) error {
			if err := d.nbd.Serve(l, sec); err != nil && !errors.Is(err, nbd.ErrClosed) {
				return fmt.Errorf("serve NBD on %v: %w", l.Addr(), err)
			}
			return nil
		})
		d.log.Info("listening", "for", "nbd", "address", l.Addr().String(), "tls", sec.Required)
	}
	return nil
}

// mayUse says whether an NBD client may read or write a thing.
func (d *daemon) mayUse(who nbd.Identity, t export.Thing, write bool) bool {
	subject, err := d.auth.Authenticate(peerOf(who))
	if err != nil {
		return false
	}
	need := auth.User
	if write {
		need = auth.Editor
	}
	return subject.Role(auth.Kind(t.Kind), t.Folder, t.Bindings) >= need
}

// peerOf is an NBD client as package auth knows callers. Its group is not known.
func peerOf(who nbd.Identity) auth.Peer {
	p := auth.Peer{Socket: who.Local, Loopback: who.Local, UID: uint32(who.UID), GID: math.MaxUint32}
	// The peer of a TCP connection is its host, behind the name if there is one.
	host := who.Peer[max(0, strings.LastIndexByte(who.Peer, ' ')+1):]
	p.Loopback = p.Loopback || isLoopback(host)
	if who.Name != "" {
		p.Certificates = []*x509.Certificate{{Subject: pkix.Name{CommonName: who.Name}}}
	}
	return p
}
