package fetch

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/blockmill/blockmill/blockio"
)

// Options say how a source is fetched; the zero value works.
type Options struct {
	// Guard says where from.
	Guard Guard
	// MaxRedirects is how many redirects are followed, at most 3; 0 follows
	// none.
	MaxRedirects int
	// MaxSize is the longest source that is taken; 0 is 16 TiB.
	MaxSize int64
	// SHA256 is what Verify expects; nil expects nothing.
	SHA256 []byte

	// SpoolDir is where a source is kept that cannot be read in ranges: in a
	// file without a name, as long as the source is open. Without a directory
	// such a source is refused.
	SpoolDir string
	// MaxSpool is the longest source that is kept so; 0 is 64 GiB.
	MaxSpool int64
	// SpoolRoom is asked before n more bytes are kept, and before a source whose
	// length n is known; its error ends the source. It may be called by several
	// goroutines. nil takes what the file system has.
	SpoolRoom func(n int64) error

	// Arena gives the memory of the cache; nil makes one of 32 MiB.
	Arena *blockio.Arena
	// BlockSize is the length of what is fetched for small reads and kept; 0
	// is 1 MiB.
	BlockSize int
	// ReadAhead is the most blocks that are fetched before they are asked
	// for; 0 is 8, negative is none.
	ReadAhead int
	// Parallel is the number of requests at a time; 0 is 16.
	Parallel int

	// HeaderTimeout bounds connecting, and waiting for the header; 0 is 10 s.
	HeaderTimeout time.Duration
	// IdleTimeout bounds waiting for more of a body; 0 is 30 s.
	IdleTimeout time.Duration
	// MinRate is the least bytes a second that a body may come at, once the
	// IdleTimeout has passed; 0 is 16 KiB, negative is none.
	MinRate int64
	// Deadline bounds the life of the source; 0 is 24 hours.
	Deadline time.Duration
	// Attempts is how often a range is asked for before that has failed; 0 is
	// 6.
	Attempts int
	// RetryDelay is about how long the second attempt waits, which later ones
	// double up to MaxRetryDelay; 0 is 200 ms and 10 s. The server's
	// Retry-After may ask for more, up to 30 s.
	RetryDelay, MaxRetryDelay time.Duration

	// TLS is what to trust; nil trusts what the system does.
	TLS *tls.Config
	// Resolver looks hosts up; nil is the system's.
	Resolver *net.Resolver
	// Control is called with every address that is about to be connected to,
	// after the guard has allowed it, like that of net.Dialer.
	Control controlFunc
	// Metrics count; nil does not.
	Metrics *Metrics
}

// maxRetryAfter bounds what a server may ask for.
const maxRetryAfter = 30 * time.Second

func (o Options) withDefaults() Options {
	o.MaxSize = cmp.Or(o.MaxSize, 16<<40)
	o.MaxSpool = cmp.Or(o.MaxSpool, 64<<30)
	o.BlockSize = cmp.Or(o.BlockSize, 1<<20)
	o.ReadAhead = max(0, cmp.Or(o.ReadAhead, 8))
	o.Parallel = cmp.Or(o.Parallel, 16)
	o.HeaderTimeout = cmp.Or(o.HeaderTimeout, 10*time.Second)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 30*time.Second)
	o.MinRate = cmp.Or(o.MinRate, 16<<10)
	o.Deadline = cmp.Or(o.Deadline, 24*time.Hour)
	o.Attempts = cmp.Or(o.Attempts, 6)
	o.RetryDelay = cmp.Or(o.RetryDelay, 200*time.Millisecond)
	o.MaxRetryDelay = cmp.Or(o.MaxRetryDelay, 10*time.Second)
	if o.SpoolRoom == nil {
		o.SpoolRoom = func(int64) error { return nil }
	}
	if o.Arena == nil {
		o.Arena = blockio.NewArena(32 << 20)
	}
	if o.Metrics == nil {
		o.Metrics = new(Metrics)
	}
	return o
}

func (o Options) validate() error {
	switch {
	case o.MaxRedirects < 0 || o.MaxRedirects > 3:
		return fmt.Errorf("options: %d redirects, expected 0 to 3", o.MaxRedirects)
	case len(o.SHA256) != 0 && len(o.SHA256) != 32:
		return fmt.Errorf("options: SHA-256 of %d bytes", len(o.SHA256))
	case o.BlockSize < blockio.BlockSize || o.BlockSize > 64<<20:
		return fmt.Errorf("options: blocks of %d bytes, expected 4 KiB to 64 MiB", o.BlockSize)
	case o.MaxSize < 0 || o.MaxSpool < 0 || o.Parallel < 1 || o.Attempts < 1 || o.HeaderTimeout < 0 || o.IdleTimeout < 0 || o.Deadline < 0:
		return errors.New("options: a bound is below 0")
	}
	return nil
}
