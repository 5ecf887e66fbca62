package nbd_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/blockmill/blockmill/blockio/nbd"
)

// authority signs certificates and writes them where NBD clients look.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string // ca-cert.pem, client-cert.pem, client-key.pem
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), pool: x509.NewCertPool()}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var der []byte
	der, a.key = a.sign(tmpl, tmpl, nil)
	a.write("ca-cert.pem", "CERTIFICATE", der)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) sign(tmpl, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return der, key
}

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// issue makes the certificate of a server or a client.
func (a *authority) issue(name string, use x509.ExtKeyUsage) tls.Certificate {
	a.t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{use},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, key := a.sign(tmpl, a.cert, a.key)
	if use == x509.ExtKeyUsageClientAuth {
		p, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			a.t.Fatal(err)
		}
		a.write("client-cert.pem", "CERTIFICATE", der)
		a.write("client-key.pem", "PRIVATE KEY", p)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// server is the configuration of a server that wants certificates of clients.
func (a *authority) server() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{a.issue("localhost", x509.ExtKeyUsageServerAuth)},
		ClientCAs:    a.pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}
}

// who is an export's list that notes who comes.
type who struct {
	nbd.Exports
	opened chan nbd.Identity
}

func (w who) Open(ctx context.Context, name string, id nbd.Identity) (*nbd.Export, error) {
	w.opened <- id
	return w.Exports.Open(ctx, name, id)
}

func TestTLS(t *testing.T) {
	a := newAuthority(t)
	exports := who{exportOf(newMemory(1<<20), false), make(chan nbd.Identity, 9)}
	_, dial := start(t, exports, nbd.Options{}, nbd.Security{TLS: a.server(), Required: true})
	c := dial()
	c.greet()
	for _, opt := range []uint32{optList, optGo, optInfo, optStructured, optSetMeta, 99} {
		if rep, _ := c.ask(opt, nil); rep != repTLSRequired {
			t.Errorf("option %d before TLS: %#x", opt, rep)
		}
	}
	if rep, _ := c.ask(optStartTLS, nil); rep != repAck {
		t.Fatalf("%#x", rep)
	}
	enc := tls.Client(c.Conn, &tls.Config{
		RootCAs: a.pool, ServerName: "localhost",
		Certificates: []tls.Certificate{a.issue("tenant-a", x509.ExtKeyUsageClientAuth)},
	})
	c.Conn = enc
	if rep, _ := c.ask(optStartTLS, nil); rep != repInvalid {
		t.Errorf("TLS in TLS: %#x", rep)
	}
	if rep, _ := c.ask(optGo, be(name("disk"), uint16(0))); rep != repAck {
		t.Fatalf("%#x", rep)
	}
	if id := <-exports.opened; id.Name != "tenant-a" || !id.TLS {
		t.Errorf("the client is %+v", id)
	}
	p := make([]byte, 300<<10)
	p[len(p)-1] = 7
	if got := c.do(fua, cmdWrite, 1, uint32(len(p)), p); got.errno != 0 {
		t.Errorf("write: error %d", got.errno)
	}
	if got := c.do(0, cmdRead, 1, uint32(len(p)), nil); got.errno != 0 || got.data[len(p)-1] != 7 {
		t.Errorf("read: error %d", got.errno)
	}
}

func TestTLSForgetsPlainText(t *testing.T) {
	a := newAuthority(t)
	config := a.server()
	config.ClientAuth = tls.NoClientCert
	exports := who{exportOf(newMemory(1<<20), false), make(chan nbd.Identity, 9)}
	_, dial := start(t, exports, nbd.Options{}, nbd.Security{TLS: config})
	c := dial()
	c.greet()
	c.ask(optStructured, nil)
	c.ask(optSetMeta, be(name("disk"), uint32(1), name("base:allocation")))
	c.ask(optStartTLS, nil)
	c.Conn = tls.Client(c.Conn, &tls.Config{RootCAs: a.pool, ServerName: "localhost"})
	c.ask(optGo, be(name("disk"), uint16(0)))
	if a := c.do(0, cmdRead, 0, page, nil); a.errno != 0 {
		t.Errorf("read, by a simple reply: error %d", a.errno)
	}
	<-exports.opened
	if id := <-exports.opened; id.Name != "" || !id.TLS {
		t.Errorf("a client without a certificate is %+v", id)
	}
}

func TestTLSRefuses(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	dial := listen(t, exportOf(newMemory(1<<20), false), nbd.Security{TLS: a.server(), Required: true})
	plain := dial.connect(t)
	plain.greet()
	plain.option(optExportName, []byte("disk"))
	if err := plain.ended(); err != nil {
		t.Errorf("an export by name, without TLS: %v", err)
	}
	for what, certs := range map[string][]tls.Certificate{
		"without a certificate":      nil,
		"with one of another issuer": {other.issue("tenant-a", x509.ExtKeyUsageClientAuth)},
		"with a server's":            {a.issue("localhost", x509.ExtKeyUsageServerAuth)},
	} {
		c := dial.connect(t)
		c.greet()
		c.ask(optStartTLS, nil)
		enc := tls.Client(c.Conn, &tls.Config{RootCAs: a.pool, ServerName: "localhost", Certificates: certs})
		_, err := enc.Write(be("IHAVEOPT", uint32(optList), uint32(0)))
		if err == nil {
			_, err = enc.Read(make([]byte, 1))
		}
		if err == nil {
			t.Errorf("%s: accepted", what)
		}
		c.Conn.Close()
	}
	// What is sent in plain text behind the option is no TLS.
	c := dial.connect(t)
	c.greet()
	c.option(optStartTLS, nil)
	c.reply(optStartTLS)
	c.write(be("IHAVEOPT", uint32(optList), uint32(0)))
	if p, _ := io.ReadAll(c); bytes.Contains(p, be(uint64(0x3e889045565a9))) {
		t.Error("an option in plain text was answered after TLS began")
	}
}
