package vmdk

import "fmt"

// Options bounds what a reader takes; the zero value works.
type Options struct {
	// MaxSize is the largest virtual size in bytes; 64 TiB when zero.
	MaxSize int64
}

func (o Options) withDefaults() Options {
	if o.MaxSize == 0 {
		o.MaxSize = 64 << 40
	}
	return o
}

func (o Options) validate() error {
	if o.MaxSize < sectorSize {
		return fmt.Errorf("open vmdk: maximum size %d: below one sector", o.MaxSize)
	}
	return nil
}
