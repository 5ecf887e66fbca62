package fetch

import (
	"crypto/tls"
	"net/http"
	"time"
)

// maxHeader bounds a response's header.
const maxHeader = 64 << 10

// NewTransport makes a transport for requests that are no sources, which connects
// only to what the options' guard allows. Whether http is allowed is for the
// caller to judge.
func NewTransport(opts Options) (*http.Transport, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	r, err := opts.Guard.rules()
	if err != nil {
		return nil, err
	}
	return newTransport(r, opts), nil
}

// newTransport makes the transport of one source. It speaks HTTP/1.1, since
// parallel ranges are faster over connections of their own, knows no proxy and
// does not decode anything.
func newTransport(r *rules, opts Options) *http.Transport {
	config := opts.TLS.Clone() // nil stays nil
	if config == nil {
		config = new(tls.Config)
	}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	config.NextProtos = []string{"http/1.1"}
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            r.dial(opts),
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    opts.HeaderTimeout,
		ResponseHeaderTimeout:  opts.HeaderTimeout,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true,
		MaxIdleConns:           opts.Parallel,
		MaxIdleConnsPerHost:    opts.Parallel,
		IdleConnTimeout:        90 * time.Second,
		ReadBufferSize:         16 << 10,
	}
}
