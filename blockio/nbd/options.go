package nbd

import (
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/blockmill/blockmill/blockio"
)

// Options say how a Server works; the zero value works.
type Options struct {
	// Arena is where the memory of requests comes from; nil makes one of 64 MiB.
	// The server waits for buffers and keeps those of its connections: an arena
	// of its own is best.
	Arena *blockio.Arena
	// MaxConnections bounds the connections; 0 is 128. More are refused. It is
	// cut to what half of the arena has buffers for.
	MaxConnections int
	// MaxRequest bounds the bytes that one request carries, a power of two; 0
	// is 32 MiB. It is cut to a quarter of the arena.
	MaxRequest int
	// InFlight bounds the requests under way of one connection; 0 is 64.
	InFlight int
	// Workers bounds the requests at the devices, of all connections together;
	// 0 is 128.
	Workers int
	// HandshakeTime bounds the negotiation; 0 is 30 seconds.
	HandshakeTime time.Duration
	// StallTime is how long a client may take nothing of a reply that is on its
	// way, or send nothing of a request that it has begun; 0 is 60 seconds.
	StallTime time.Duration
	// Logger gets a line for every connection that ended otherwise than by the
	// client's wish; nil drops them.
	Logger *slog.Logger
	// Metrics count; nil does not.
	Metrics *Metrics
}

// Security says what a listener owes its clients; the zero value is plain
// text.
type Security struct {
	// TLS is offered to clients; its ClientAuth decides about certificates.
	TLS *tls.Config
	// Required refuses all but TLS.
	Required bool
}

// Buffers of a connection: what it reads requests into, and two that it
// answers small reads in.
const (
	readBuffer  = 32 << 10
	replyBuffer = 48 << 10
	slabSize    = readBuffer + 2*replyBuffer
)

func (o Options) withDefaults() Options {
	if o.Arena == nil {
		o.Arena = blockio.NewArena(64 << 20)
	}
	setDefault(&o.MaxConnections, 128)
	setDefault(&o.MaxRequest, 32<<20)
	setDefault(&o.InFlight, 64)
	setDefault(&o.Workers, 128)
	setDefault(&o.HandshakeTime, 30*time.Second)
	setDefault(&o.StallTime, 60*time.Second)
	// A connection keeps its slab and waits for the buffers of requests, which
	// always come back: so slabs must leave room for those.
	o.MaxConnections = max(1, min(o.MaxConnections, int(o.Arena.Limit()/2/slabSize)))
	for int64(o.MaxRequest) > o.Arena.Limit()/4 && o.MaxRequest > minRequest {
		o.MaxRequest /= 2
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// minRequest is the request that every client may make.
const minRequest = 64 << 10

func setDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
