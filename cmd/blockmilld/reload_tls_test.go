package main

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// TestReloadListeners changes who signs clients' certificates, the server's own of
// all listeners, and how many connections there may be.
func TestReloadListeners(t *testing.T) {
	p := newProcess(t)
	ours := newAuthority(t, p.dir)
	ours.sign("server", "one")
	config := func(connections int) string {
		return fmt.Sprintf(`
grpc: {tls: {certificate: %[1]s/server.pem, key: %[1]s/server.key, client_ca: %[1]s/ca.pem}}
rest: {tls: {certificate: %[1]s/server.pem, key: %[1]s/server.key, client_ca: %[1]s/ca.pem}}
nbd: {listen: ["%[2]s"], tls: {certificate: %[1]s/server.pem, key: %[1]s/server.key, client_ca: %[1]s/ca.pem}}
auth:
  accounts:
  - {id: bob, folders: {m: admin}, certificates: [bob]}
limits: {connections: %[3]d}
`, p.dir, anyPort, connections)
	}
	r := &reloading{process: p, file: filepath.Join(p.dir, "blockmilld.yaml")}
	if err := os.WriteFile(r.file, []byte(config(8)), 0o600); err != nil {
		t.Fatal(err)
	}
	p.scheme = "https"
	p.start("--config", r.file)
	nbd := p.listensFor("nbd")

	theirs := newAuthority(t, t.TempDir())
	bobs := map[string]*tls.Config{"ours": ours.client("bob"), "theirs": theirs.client("bob")}
	bobs["theirs"].RootCAs = bobs["ours"].RootCAs // the server stays ours
	knows := func(signer string) bool {
		q := *p
		q.client = &http.Client{Transport: &http.Transport{TLSClientConfig: bobs[signer], DisableKeepAlives: true}}
		resp, err := q.client.Get(q.scheme + "://" + q.rest + "/compute/v1/images?folderId=m")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	names := func() [3]string {
		return [3]string{serverName(t, p.grpc, bobs["ours"], false), serverName(t, p.rest, bobs["ours"], false), serverName(t, nbd, bobs["ours"], true)}
	}
	if !knows("ours") || knows("theirs") {
		t.Error("at first bob is not known by our signature alone")
	}
	if got := names(); got != [3]string{"one", "one", "one"} {
		t.Errorf("at first the servers are %q", got)
	}

	ours.sign("server", "two")
	r.reload(config(8), readAgain)
	if got := names(); got != [3]string{"two", "two", "two"} {
		t.Errorf("with another certificate the servers are %q", got)
	}

	own, err := os.ReadFile(filepath.Join(ours.dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(filepath.Join(theirs.dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, now := range []struct {
		signer string
		ca     []byte
	}{{"theirs", other}, {"ours", own}} {
		if err := os.WriteFile(filepath.Join(ours.dir, "ca.pem"), now.ca, 0o600); err != nil {
			t.Fatal(err)
		}
		r.reload(config(8), readAgain)
		for signer := range bobs {
			if known := knows(signer); known != (signer == now.signer) {
				t.Errorf("with the authority %s, bob by %s is known: %v", now.signer, signer, known)
			}
		}
	}

	// Connections on which bob has called take what there may be.
	for range 8 {
		c, err := tls.Dial("tcp", p.rest, bobs["ours"])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET /compute/v1/images?folderId=m HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	p.eventually("full", func() bool { return !knows("ours") })
	r.reload(config(64), readAgain)
	if !knows("ours") {
		t.Error("no more connections are taken with a higher limit")
	}
}

// serverName is the name in a server's certificate, be it one of NBD.
func serverName(t *testing.T, address string, config *tls.Config, nbd bool) string {
	t.Helper()
	c := dial(t, address)
	defer c.Close()
	if nbd {
		// The greeting, our flags, NBD_OPT_STARTTLS, and that it may begin.
		begin := binary.BigEndian.AppendUint32(nil, 3)
		begin = append(append(begin, "IHAVEOPT"...), 0, 0, 0, 5, 0, 0, 0, 0)
		if _, err := io.ReadFull(c, make([]byte, 18)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(begin); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 20)); err != nil {
			t.Fatal(err)
		}
	}
	config = config.Clone()
	config.ServerName = "127.0.0.1"
	s := tls.Client(c, config)
	if err := s.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s.ConnectionState().PeerCertificates[0].Subject.CommonName
}
