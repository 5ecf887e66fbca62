package convert

import (
	"errors"
	"fmt"
	"io"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/qcow2"
	"github.com/blockmill/blockmill/convert/raw"
	"github.com/blockmill/blockmill/convert/vmdk"
)

// ErrOption says that an option does not fit the format or is unknown.
var ErrOption = errors.New("bad option")

// Target is a file to write an image to: a [blockio.Device].
type Target interface {
	io.WriterAt
	Truncate(size int64) error
	Sync() error
}

// Compression is how the data of a new image is compressed. The zero value is
// the format's default.
type Compression string

// The compressions.
const (
	NoCompression Compression = "none"
	Zlib          Compression = "zlib"
	Zstd          Compression = "zstd"
)

// ParseCompression gives the compression of a name.
func ParseCompression(name string) (Compression, error) {
	switch c := Compression(name); c {
	case "", NoCompression, Zlib, Zstd:
		return c, nil
	}
	return "", fmt.Errorf("compression %q: want zlib, zstd or none: %w", name, ErrOption)
}

// CreateOptions say what image to write.
type CreateOptions struct {
	// Format is the format; without one it is raw.
	Format      Format
	Compression Compression
	// ClusterSize is that of a qcow2, in bytes; 0 is 64 KiB.
	ClusterSize int64
	// Dense writes the zeros of a raw image instead of leaving holes.
	Dense bool
	// Arena gives the writer's memory; nil makes one.
	Arena *blockio.Arena
}

func (o CreateOptions) withDefaults() CreateOptions {
	if o.Format == "" {
		o.Format = Raw
	}
	return o
}

// Validate says whether the options fit one another; ErrOption tells why not.
func (o CreateOptions) Validate() error {
	o = o.withDefaults()
	switch {
	case o.Format == Raw && o.Compression != "" && o.Compression != NoCompression:
		return fmt.Errorf("compression %s: a raw image has none: %w", o.Compression, ErrOption)
	case o.Format == VMDK && o.Compression != "" && o.Compression != Zlib:
		return fmt.Errorf("compression %s: a streamOptimized vmdk has zlib: %w", o.Compression, ErrOption)
	case o.Format != QCOW2 && o.ClusterSize != 0:
		return fmt.Errorf("cluster size %d: only a qcow2 has one: %w", o.ClusterSize, ErrOption)
	case o.ClusterSize != 0 && (o.ClusterSize < 512 || o.ClusterSize > 2<<20 || o.ClusterSize&(o.ClusterSize-1) != 0):
		return fmt.Errorf("cluster size %d: want a power of two from 512 to 2M: %w", o.ClusterSize, ErrOption)
	case o.Format != Raw && o.Dense:
		return fmt.Errorf("dense: only a raw image can be: %w", ErrOption)
	}
	return nil
}

// Create starts an image of the given virtual size in dst.
func Create(dst Target, size int64, opts CreateOptions) (Writer, error) {
	opts = opts.withDefaults()
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	switch opts.Format {
	case Raw:
		return raw.Create(dst, size, raw.WriterOptions{Dense: opts.Dense})
	case QCOW2:
		return qcow2.Create(dst, size, qcow2.WriterOptions{
			ClusterSize: opts.ClusterSize, Compression: opts.Compression.qcow2(), Arena: opts.Arena,
		})
	case VMDK:
		return vmdk.Create(dst, size, vmdk.WriterOptions{})
	}
	return nil, fmt.Errorf("%w %q", ErrFormat, opts.Format)
}

func (c Compression) qcow2() qcow2.Compression {
	switch c {
	case Zlib:
		return qcow2.Zlib
	case Zstd:
		return qcow2.Zstd
	}
	return qcow2.None
}
