package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/blockmill/blockmill/api/blockmillpb"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir string) *authority {
	a := &authority{t: t, dir: dir}
	a.cert, a.key = a.sign("ca", "ca")
	return a
}

// sign writes a certificate of a name, and its key, to files of another.
func (a *authority) sign(file, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: a.cert == nil, BasicConstraintsValid: true,
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for end, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(a.dir, file+end), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// client is the configuration of a client, with a certificate of a name unless
// that is empty.
func (a *authority) client(name string) *tls.Config {
	a.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	c := &tls.Config{RootCAs: roots}
	if name != "" {
		a.sign("client", name)
		pair, err := tls.LoadX509KeyPair(filepath.Join(a.dir, "client.pem"), filepath.Join(a.dir, "client.key"))
		if err != nil {
			a.t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}

func sum(token string) string {
	s := sha256.Sum256([]byte(token))
	return hex.EncodeToString(s[:])
}

// guarded is a daemon with TLS, accounts and low limits. Alice has a token and is
// admin of f, bob a certificate and m, the operator a token and everything.
func guarded(t *testing.T) (*process, *authority, string) {
	p := newProcess(t)
	a := newAuthority(t, p.dir)
	a.sign("server", "one")
	file := filepath.Join(p.dir, "blockmilld.yaml")
	text := fmt.Sprintf(`
log: {level: warn}
grpc: {listen: ["127.0.0.1:1"], tls: {certificate: %[1]s/server.pem, key: %[1]s/server.key, client_ca: %[1]s/ca.pem}}
rest: {tls: {certificate: %[1]s/server.pem, key: %[1]s/server.key, client_ca: %[1]s/ca.pem}}
auth:
  accounts:
  - {id: alice, folders: {f: admin}, token_sha256: [%[2]s]}
  - {id: bob, type: serviceAccount, folders: {m: admin}, certificates: [bob]}
  - {id: olga, folders: {"*": admin}, token_sha256: [%[3]s]}
limits: {connections: 8, streams: 2, message: 64K}
`, p.dir, sum("alice's"), sum("operator's"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.scheme, p.token = "https", "alice's"
	p.client.Transport = &http.Transport{TLSClientConfig: a.client("")}
	// Flags come before the file, and so does the environment.
	return p.start("BLOCKMILL_LOG_LEVEL=info", "--config", file), a, file
}

// TestGuarded looks at a daemon for many users: who is known, what they see, what
// they can take of it, and what SIGHUP changes.
func TestGuarded(t *testing.T) {
	p, a, file := guarded(t)
	// These say nothing; what becomes of them is looked at in the end.
	silent := []net.Conn{dial(t, p.grpc), dial(t, p.rest), dial(t, p.metrics), dial(t, p.metrics)}
	// The last of them begins a request, and sends no body.
	if _, err := io.WriteString(silent[3], "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	image := p.do("POST", "/compute/v1/images", object{"folderId": "f", "name": "one", "uri": offer(t, disk(mib, 1)).URL})
	id := image["id"].(string)
	t.Run("foreign", func(t *testing.T) { p.foreign(t, a, id) })
	t.Run("nobody", func(t *testing.T) {
		for _, token := range []string{"", "bob's", sum("alice's")} {
			q := *p
			q.t, q.token = t, token
			if code, doc := q.ask("GET", "/compute/v1/images/"+id, nil); code != http.StatusUnauthorized {
				t.Errorf("token %q: %d %v", token, code, doc)
			}
		}
	})
	t.Run("limits", func(t *testing.T) { p.limits(t, a) })
	t.Run("reload", func(t *testing.T) { p.newCertificate(t, a) })
	t.Run("accounts", func(t *testing.T) { p.newToken(t, file, id) })
	t.Run("silence", func(t *testing.T) {
		for _, c := range silent {
			if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			var err error
			for p := make([]byte, 1<<10); err == nil; {
				_, err = c.Read(p)
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("a connection that says nothing is kept")
			}
		}
	})
	p.stop()
	// No machine has so much; the environment comes before the file, whose level says nothing of addresses.
	p.start("BLOCKMILL_LOG_LEVEL=info", "BLOCKMILL_STORE_RESERVE=1000T", "--config", file)
	t.Run("full", func(t *testing.T) { p.full(t, a, id) })
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// foreign asks, as bob, for what is alice's and for what nobody has.
func (p *process) foreign(t *testing.T, a *authority, id string) {
	bob := *p
	bob.t, bob.token, bob.client = t, "", &http.Client{Transport: &http.Transport{TLSClientConfig: a.client("bob")}}
	if code, doc := bob.ask("GET", "/compute/v1/images?folderId=m", nil); code != http.StatusOK {
		t.Errorf("bob in his own folder: %d %v", code, doc)
	}
	const nowhere = "aaaaaaaaaaaaaaaaaaaa"
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/compute/v1/images/" + id, nil},
		{"DELETE", "/compute/v1/images/" + id, nil},
		{"PATCH", "/compute/v1/images/" + id, object{"name": "mine"}},
		{"GET", "/compute/v1/images/" + id + "/operations", nil},
		{"GET", "/compute/v1/images/" + id + ":listAccessBindings", nil},
		{"POST", "/compute/v1/images", object{"folderId": "m", "imageId": id}},
		{"POST", "/compute/v1/disks", object{"folderId": "m", "zoneId": "z", "size": "4194304", "imageId": id}},
	} {
		code, got := bob.ask(c.method, c.path, c.body)
		if b, ok := c.body.(object); ok && b["imageId"] != nil {
			b["imageId"] = nowhere
		}
		want, unknown := bob.ask(c.method, strings.ReplaceAll(c.path, id, nowhere), c.body)
		said := strings.ReplaceAll(fmt.Sprint(got), id, nowhere)
		if code != http.StatusNotFound || code != want || said != fmt.Sprint(unknown) {
			t.Errorf("%s %s: %d %v, and for an unknown one %d %v", c.method, c.path, code, got, want, unknown)
		}
	}
}

// limits takes more than there is.
func (p *process) limits(t *testing.T, a *authority) {
	conn, err := grpc.NewClient(p.grpc, grpc.WithTransportCredentials(credentials.NewTLS(a.client(""))))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	as := func(token string) context.Context {
		return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	}
	images := computepb.NewImageServiceClient(conn)
	list := &computepb.ListImagesRequest{FolderId: "f"}
	if _, err := images.List(as("alice's"), list); err != nil {
		t.Fatal(err)
	}
	long := &computepb.CreateImageRequest{FolderId: "f", Description: strings.Repeat("a", 65<<10)}
	if _, err := images.Create(as("alice's"), long); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a long message: %v", err)
	}
	if code, doc := p.ask("POST", "/compute/v1/images", object{"folderId": "f", "description": long.GetDescription()}); code < 400 {
		t.Errorf("a long request: %d %v", code, doc)
	}
	headers := metadata.AppendToOutgoingContext(as("alice's"), "x", strings.Repeat("a", 17<<10))
	if _, err := images.List(headers, list); err == nil {
		t.Error("long headers are taken")
	}
	events := blockmillpb.NewNodeServiceClient(conn)
	ctx, cancel := context.WithCancel(as("operator's"))
	defer cancel()
	for range 2 {
		if _, err := events.Events(ctx, &blockmillpb.EventsRequest{Follow: true}); err != nil {
			t.Fatal(err)
		}
	}
	soon, done := context.WithTimeout(as("alice's"), 200*time.Millisecond)
	defer done()
	if _, err := images.List(soon, list); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a third call at once: %v", err)
	}
	cancel()
	if _, err := images.List(as("alice's"), list); err != nil {
		t.Errorf("when the others have ended: %v", err)
	}
	first := dial(t, p.rest)
	defer first.Close()
	var last net.Conn
	for range 12 {
		last = dial(t, p.rest)
		defer last.Close()
	}
	if !answers(last) {
		t.Error("connections on which nobody has called make no room")
	}
	if answers(first) {
		t.Error("more connections than there may be")
	}
	for range observers + 1 {
		last = dial(t, p.metrics)
		defer last.Close()
	}
	if answers(last) {
		t.Error("more connections for metrics than there may be")
	}
}

// answers says whether a server says anything to a request, be it that TLS is
// wanted; one that only closes the connection does not.
func answers(c net.Conn) bool {
	// It may be closed already.
	_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	n, _ := c.Read(make([]byte, 1))
	return n > 0
}

// TestDrain stops a daemon while clients follow what happens: those are let go,
// and nothing waits for them.
func TestDrain(t *testing.T) {
	p := newProcess(t).start("BLOCKMILL_STOP_TIMEOUT=1h")
	source := offer(t, disk(mib, 1))
	asked := make(chan struct{}, 100)
	var answers atomic.Bool
	source.gate = func(r *http.Request) {
		if !answers.Load() {
			asked <- struct{}{}
			<-r.Context().Done()
		}
	}
	op := p.must("POST", "/compute/v1/images", object{"folderId": "default", "name": "slow", "uri": source.URL})
	<-asked
	conn, err := grpc.NewClient(p.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	watch, err := blockmillpb.NewOperationServiceClient(conn).Watch(t.Context(), &blockmillpb.WatchRequest{OperationId: op["id"].(string)})
	if err != nil {
		t.Fatal(err)
	}
	events, err := blockmillpb.NewNodeServiceClient(conn).Events(t.Context(), &blockmillpb.EventsRequest{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGTERM)
	p.eventually("gone", func() bool {
		select {
		case <-p.gone:
			return true
		default:
			return false
		}
	})
	for err = nil; err == nil; {
		_, err = watch.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("a watch ends with %v", err)
	}
	for err = nil; err == nil; {
		_, err = events.Recv()
	}
	answers.Store(true)
	if end := p.start().wait(op); end["error"] != nil {
		t.Errorf("after the restart: %v", end)
	}
}

// newCertificate replaces the server's certificate.
func (p *process) newCertificate(t *testing.T, a *authority) {
	name := func(c *tls.Conn) string { return c.ConnectionState().PeerCertificates[0].Subject.CommonName }
	connect := func(address, protocol string) *tls.Conn {
		config := a.client("")
		config.NextProtos = []string{protocol}
		var c *tls.Conn
		p.eventually("a connection less", func() (ok bool) {
			var err error
			c, err = tls.Dial("tcp", address, config)
			return err == nil
		})
		t.Cleanup(func() { c.Close() })
		return c
	}
	old := connect(p.rest, "http/1.1")
	a.sign("server", "two")
	p.signal(syscall.SIGHUP)
	p.eventually("reloaded", func() bool { return strings.Contains(p.log.String(), "the configuration was read again") })
	if got := name(old) + " " + name(connect(p.rest, "http/1.1")) + " " + name(connect(p.grpc, "h2")); got != "one two two" {
		t.Errorf("certificates before and after: %s", got)
	}
	if _, err := fmt.Fprintf(old, "GET /endpoints HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 12)
	if _, err := old.Read(answer); err != nil || string(answer) != "HTTP/1.1 200" {
		t.Errorf("an old connection: %q, %v", answer, err)
	}
}

// newToken gives alice another token for a while, and the daemon a configuration
// that it cannot take.
func (p *process) newToken(t *testing.T, file, id string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	reload := func(text, said string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		n := strings.Count(p.log.String(), said)
		p.signal(syscall.SIGHUP)
		p.eventually("reloaded", func() bool { return strings.Count(p.log.String(), said) > n })
	}
	get := func(token string) int {
		q := *p
		q.t, q.token = t, token
		code, _ := q.ask("GET", "/compute/v1/images/"+id, nil)
		return code
	}
	const read, kept = "the configuration was read again", "the configuration stays as it was"
	other := strings.ReplaceAll(string(text), sum("alice's"), sum("another"))
	reload(other, read)
	for range 2 {
		if a, b := get("alice's"), get("another"); a != http.StatusUnauthorized || b != http.StatusOK {
			t.Errorf("with the old token %d, with the new one %d", a, b)
		}
		reload(string(text)+"nonsense: 1\n", kept)
	}
	reload(string(text), read)
	if a, b := get("alice's"), get("another"); a != http.StatusOK || b != http.StatusUnauthorized {
		t.Errorf("in the end: with the first token %d, with the other %d", a, b)
	}
}

// full looks at a daemon whose reserve is used up: it takes no new images, and does
// everything else.
func (p *process) full(t *testing.T, a *authority, id string) {
	code, doc := p.ask("POST", "/compute/v1/images", object{"folderId": "f", "name": "two", "uri": offer(t, disk(mib, 2)).URL})
	if code != http.StatusTooManyRequests || !strings.Contains(fmt.Sprint(doc["message"]), "storage is full") {
		t.Errorf("an import without room: %d %v", code, doc)
	}
	p.must("GET", "/compute/v1/images/"+id, nil)
	p.do("DELETE", "/compute/v1/images/"+id, nil)
	if list := p.must("GET", "/compute/v1/images?folderId=f", nil); len(list["images"].([]any)) != 0 {
		t.Errorf("left: %v", list)
	}
	conn, err := grpc.NewClient(p.grpc, grpc.WithTransportCredentials(credentials.NewTLS(a.client(""))))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	as := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer operator's")
	op, err := blockmillpb.NewNodeServiceClient(conn).CollectGarbage(as, &blockmillpb.CollectGarbageRequest{})
	if err != nil {
		t.Fatal(err)
	}
	operator := *p
	operator.token = "operator's"
	if end := operator.wait(object{"id": op.GetOperationId()}); end["error"] != nil {
		t.Errorf("collection: %v", end)
	}
}
