package auth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
)

// ErrCertificates says that a file holds no certificates.
var ErrCertificates = errors.New("no certificates")

// CertificateFiles are the files of a TLS server, in PEM.
type CertificateFiles struct {
	// Certificate and Key are the server's own.
	Certificate, Key string
	// ClientCA, if set, are the authorities that sign the certificates of
	// clients; those are asked for then, and verified when they are given.
	ClientCA string
}

// Certificates are what was last read of a server's files.
type Certificates struct {
	files  CertificateFiles
	config atomic.Pointer[tls.Config]
	stamp  atomic.Pointer[[3]stamp]
}

// stamp tells a file from its successor.
type stamp struct {
	size, modified int64
}

// OpenCertificates reads the files for the first time.
func OpenCertificates(files CertificateFiles) (*Certificates, error) {
	c := &Certificates{files: files}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload reads the files again. What was read before stays in use when it fails,
// and for connections that are there already.
func (c *Certificates) Reload() error {
	stamps := c.stamps()
	pair, err := tls.LoadX509KeyPair(c.files.Certificate, c.files.Key)
	if err != nil {
		return fmt.Errorf("read certificate %s with key %s: %w", c.files.Certificate, c.files.Key, err)
	}
	cfg := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{pair},
		NextProtos:   []string{"h2", "http/1.1"},
	}
	if c.files.ClientCA != "" {
		pem, err := os.ReadFile(c.files.ClientCA)
		if err != nil {
			return fmt.Errorf("read client authorities: %w", err)
		}
		cfg.ClientCAs = x509.NewCertPool()
		if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("read client authorities %s: %w", c.files.ClientCA, ErrCertificates)
		}
		cfg.ClientAuth = tls.VerifyClientCertIfGiven
	}
	c.config.Store(cfg)
	c.stamp.Store(&stamps)
	return nil
}

// ReloadIfChanged is Reload when a file is not the one that was read.
func (c *Certificates) ReloadIfChanged() (changed bool, err error) {
	if c.stamps() == *c.stamp.Load() {
		return false, nil
	}
	return true, c.Reload()
}

func (c *Certificates) stamps() (all [3]stamp) {
	for i, path := range []string{c.files.Certificate, c.files.Key, c.files.ClientCA} {
		if info, err := os.Stat(path); err == nil {
			all[i] = stamp{info.Size(), info.ModTime().UnixNano()}
		}
	}
	return all
}

// Config is a server's configuration that takes what was last read for each
// connection.
func (c *Certificates) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return c.config.Load(), nil
		},
	}
}
