package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/blockio/nbd"
	"github.com/blockmill/blockmill/cmd/socket"
)

// serveFlags say where clients come from.
type serveFlags struct {
	socket, listen      string
	cert, key, clientCA string
}

// defaultListen is where NBD clients look by themselves.
const defaultListen = "127.0.0.1:10809"

func (f *serveFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.socket, "socket", "", "listen on this Unix socket, which is yours alone")
	flags.StringVar(&f.listen, "listen", "", "listen on this TCP address (default "+defaultListen+" without --socket)")
	flags.StringVar(&f.cert, "tls-cert", "", "require TLS, with the certificate in this file")
	flags.StringVar(&f.key, "tls-key", "", "the key of the certificate")
	flags.StringVar(&f.clientCA, "tls-client-ca", "", "demand certificates of clients, signed by one in this file")
	cmd.MarkFlagsMutuallyExclusive("socket", "listen")
	cmd.MarkFlagsRequiredTogether("tls-cert", "tls-key")
}

// security is TLS for all, or for none.
func (f *serveFlags) security() (nbd.Security, error) {
	if f.cert == "" {
		if f.clientCA != "" {
			return nbd.Security{}, usageError{errors.New("--tls-client-ca needs --tls-cert")}
		}
		return nbd.Security{}, nil
	}
	cert, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nbd.Security{}, fmt.Errorf("load certificate: %w", err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if f.clientCA != "" {
		pem, err := os.ReadFile(f.clientCA)
		if err != nil {
			return nbd.Security{}, err
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(pem) {
			return nbd.Security{}, fmt.Errorf("load %s: no certificate in it", f.clientCA)
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return nbd.Security{TLS: config, Required: true}, nil
}

// listener listens where the flags say.
func (f *serveFlags) listener() (net.Listener, error) {
	if f.socket != "" {
		return socket.Listen(f.socket, 0o600)
	}
	addr := f.listen
	if addr == "" {
		addr = defaultListen
	}
	return net.Listen("tcp", addr)
}

// logger writes warnings to stderr.
func (a *app) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
