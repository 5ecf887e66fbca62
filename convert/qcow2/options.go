package qcow2

import (
	"fmt"

	"github.com/blockmill/blockmill/blockio"
)

// Options are a reader's limits. The zero value means the defaults.
type Options struct {
	// MaxSize is the most that an image's virtual size may be, in bytes;
	// 64 TiB without it.
	MaxSize int64
	// MaxRatio is how many times its own size a file may describe in data;
	// 65536 without it. Compressed clusters of one repeated byte come to
	// some 20000.
	MaxRatio int64
	// MaxAmplification is how many times over the guest may see the same
	// bytes of the file, on average over all that it sees. No sound image
	// has more than 1, which it is without a value.
	MaxAmplification float64
	// Overlay takes an image over a backing file, which is not looked at: runs
	// that are the backing file's are holes, and read as zeros.
	Overlay bool
	// Arena lends the buffers for compressed data while it has some to
	// spare; ReadAt never waits for it, so its caller may hold buffers of it.
	// Without one a few buffers of the image's own serve.
	Arena *blockio.Arena
}

const (
	defaultMaxSize          = 64 << 40
	defaultMaxRatio         = 64 << 10
	defaultMaxAmplification = 1
)

func (o Options) withDefaults() Options {
	if o.MaxSize == 0 {
		o.MaxSize = defaultMaxSize
	}
	if o.MaxRatio == 0 {
		o.MaxRatio = defaultMaxRatio
	}
	if o.MaxAmplification == 0 {
		o.MaxAmplification = defaultMaxAmplification
	}
	return o
}

func (o Options) validate() error {
	switch {
	case o.MaxSize < 0:
		return fmt.Errorf("maximum size %d: negative", o.MaxSize)
	case o.MaxRatio < 0:
		return fmt.Errorf("maximum ratio %d: negative", o.MaxRatio)
	case o.MaxAmplification < 1:
		return fmt.Errorf("maximum amplification %g: less than 1", o.MaxAmplification)
	}
	return nil
}
