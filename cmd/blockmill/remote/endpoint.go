package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// localPort is where a daemon without configuration listens.
const localPort = "127.0.0.1:9440"

// localSockets are where the socket of a local daemon may be: under systemd, and
// for a first try in the current directory.
func localSockets() []string {
	return []string{"/run/blockmill/blockmill.sock", "var/blockmill/run/blockmill.sock"}
}

var errTokenPlain = errors.New("a token goes over TLS or to this machine only: add --tls or --ca")

// target is the endpoint as gRPC names it.
func (o Options) target() (string, error) {
	e := o.Endpoint
	if e == "" {
		for _, path := range localSockets() {
			if st, err := os.Stat(path); err == nil && st.Mode()&os.ModeSocket != 0 {
				e = path
				break
			}
		}
	}
	switch path, isUnix := strings.CutPrefix(e, "unix:"); {
	case e == "":
		return "passthrough:///" + localPort, nil
	case isUnix || strings.ContainsRune(e, '/'):
		abs, err := filepath.Abs(strings.TrimPrefix(path, "//"))
		return "unix:" + abs, err
	}
	if _, _, err := net.SplitHostPort(e); err != nil {
		return "", fmt.Errorf("endpoint %s: want a socket's path or host:port: %w", e, err)
	}
	return "dns:///" + e, nil
}

// local says whether the endpoint is on this machine.
func (o Options) local() bool {
	host, _, err := net.SplitHostPort(o.Endpoint)
	if err != nil {
		return true // a socket
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (o Options) credentials() ([]grpc.DialOption, error) {
	secure := o.TLS || o.CAFile != "" || o.CertFile != "" || o.KeyFile != ""
	var opts []grpc.DialOption
	if secure {
		conf, err := o.tlsConfig()
		if err != nil {
			return nil, err
		}
		opts = append(opts, grpc.WithTransportCredentials(credentials.NewTLS(conf)))
	} else {
		opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))
	}
	if o.TokenFile == "" {
		return opts, nil
	}
	if !secure && !o.local() {
		return nil, errTokenPlain
	}
	p, err := os.ReadFile(o.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("read token: %w", err)
	}
	return append(opts, grpc.WithPerRPCCredentials(bearer{strings.TrimSpace(string(p)), secure})), nil
}

func (o Options) tlsConfig() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		p, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read certificates: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(p) {
			return nil, fmt.Errorf("read certificates %s: it holds none", o.CAFile)
		}
	}
	if o.CertFile != "" || o.KeyFile != "" {
		cert, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read own certificate: %w", err)
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	return conf, nil
}

// bearer sends a token with each call.
type bearer struct {
	token  string
	secure bool
}

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

func (b bearer) RequireTransportSecurity() bool { return b.secure }
