package vmdk

import (
	"fmt"

	"github.com/blockmill/blockmill/blockio"
)

// Options bounds what a reader takes; the zero value works.
type Options struct {
	// MaxSize is the largest virtual size in bytes; 64 TiB when zero.
	MaxSize int64
	// Arena lends the memory into which compressed grains are fetched; an
	// Image makes a small one when nil. While it has none to lend, an Image
	// fetches through a few small buffers of its own.
	Arena *blockio.Arena
}

// ownArena is the size of an arena that an Image makes for itself.
const ownArena = 16 << 20

func (o Options) withDefaults() Options {
	if o.MaxSize == 0 {
		o.MaxSize = 64 << 40
	}
	if o.Arena == nil {
		o.Arena = blockio.NewArena(ownArena)
	}
	return o
}

func (o Options) validate() error {
	if o.MaxSize < sectorSize {
		return fmt.Errorf("open vmdk: maximum size %d: below one sector", o.MaxSize)
	}
	return nil
}
