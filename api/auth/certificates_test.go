package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blockmill/blockmill/api/auth"
)

// writeCertificate makes a self-signed certificate of a name in dir.
func writeCertificate(t *testing.T, dir, name string) auth.CertificateFiles {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := auth.CertificateFiles{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	for path, block := range map[string]*pem.Block{
		files.Certificate: {Type: "CERTIFICATE", Bytes: der},
		files.Key:         {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// served is the name of the certificate that a new connection gets.
func served(t *testing.T, c *auth.Certificates) string {
	t.Helper()
	cfg, err := c.Config().GetConfigForClient(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(cfg.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf.Subject.CommonName
}

func TestCertificatesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	c, err := auth.OpenCertificates(writeCertificate(t, dir, "first"))
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := c.ReloadIfChanged(); changed || err != nil {
		t.Errorf("nothing changed: %v, %v", changed, err)
	}
	files := writeCertificate(t, dir, "second")
	if changed, err := c.ReloadIfChanged(); !changed || err != nil {
		t.Errorf("changed: %v, %v", changed, err)
	}
	if got := served(t, c); got != "second" {
		t.Errorf("serves %s", got)
	}
	if err := os.WriteFile(files.Key, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := c.ReloadIfChanged(); !changed || err == nil || !strings.Contains(err.Error(), files.Key) {
		t.Errorf("took rubbish: %v, %v", changed, err)
	}
	if got := served(t, c); got != "second" {
		t.Errorf("after rubbish it serves %s", got)
	}
}

func TestClientAuthoritiesMustBeCertificates(t *testing.T) {
	files := writeCertificate(t, t.TempDir(), "x")
	files.ClientCA = files.Key
	if _, err := auth.OpenCertificates(files); !errors.Is(err, auth.ErrCertificates) {
		t.Error(err)
	}
}
