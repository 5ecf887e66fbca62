package qcow2

import (
	"fmt"
	"io"
	"math/bits"
	"sync"

	"github.com/blockmill/blockmill/blockio"
)

// Window is the unit of a Writer's input in bytes: writes begin at its
// multiples, so that two of them never share a cluster.
const Window = 4 << 20

// Target is where a Writer puts its file. Nothing is assumed of what it held.
type Target interface {
	io.WriterAt
	Truncate(size int64) error
	Sync() error
}

// Compression is how a Writer stores clusters.
type Compression uint8

// None is the zero value.
const (
	None Compression = iota
	Zlib
	Zstd
)

// WriterOptions are a Writer's options; the zero value works.
type WriterOptions struct {
	// ClusterSize is a power of two from 512 to 2 MiB; 64 KiB without it.
	ClusterSize int64
	Compression Compression
	// Arena lends buffers while it has some to spare; see Options.
	Arena *blockio.Arena
}

const defaultClusterSize = 64 << 10

func (o WriterOptions) withDefaults() WriterOptions {
	if o.ClusterSize == 0 {
		o.ClusterSize = defaultClusterSize
	}
	return o
}

func (o WriterOptions) validate() error {
	switch {
	case o.ClusterSize < 1<<minClusterBits || o.ClusterSize > 1<<maxClusterBits || o.ClusterSize&(o.ClusterSize-1) != 0:
		return fmt.Errorf("cluster size %d: want a power of two from 512 to 2 MiB", o.ClusterSize)
	case o.Compression > Zstd:
		return fmt.Errorf("compression %d: unknown", o.Compression)
	}
	return nil
}

// Writer writes an image of version 3. Clusters go to the file as they come,
// a window's together; tables follow when they are complete or memory is
// short, the rest and the header in Finish. Before that the file is no image.
//
// A Writer needs no more than some 64 MiB, most of that for images close to the
// format's limit of 4 Mi L1 entries.
type Writer struct {
	dst     Target
	geo     *geometry
	opts    WriterOptions
	buffers *bufferSource
	codecs  sync.Pool // of compressor

	mu     sync.Mutex // guards all below, and orders the writes of tables
	err    error      // the first failure; all later calls return it
	alloc  allocator
	tables tableWriter
	pack   packer
}

// Create begins an image of size guest bytes, a multiple of 512.
func Create(dst Target, size int64, opts WriterOptions) (*Writer, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("create qcow2: %w", err)
	}
	if size < 0 || size%sectorSize != 0 {
		return nil, fmt.Errorf("create qcow2: size %d: want a multiple of 512", size)
	}
	g := newGeometry(header{
		version:     3,
		size:        uint64(size),
		clusterBits: uint32(bits.TrailingZeros64(uint64(opts.ClusterSize))),
	}, 0)
	g.l1Entries = g.l1Needed()
	if g.l1Entries*8 > maxL1Bytes {
		return nil, fmt.Errorf("create qcow2: size %d: more than %d, the most with clusters of %d", size, maxL1Bytes/8<<g.l1Shift(), g.clusterSize)
	}
	w := &Writer{dst: dst, geo: g, opts: opts, buffers: newBufferSource(opts.Arena)}
	w.alloc = newAllocator(g)
	w.tables = newTableWriter(g)
	w.pack = newPacker(g)
	return w, nil
}

// WriteAt writes guest bytes from a multiple of Window on, up to another or to
// the end of the image. Concurrent calls, and any two calls, are for disjoint
// ranges. Clusters of zeros are left out, as is what is never written.
func (w *Writer) WriteAt(p []byte, off int64) (int, error) {
	end := off + int64(len(p))
	if off < 0 || off%Window != 0 || end > w.geo.size || end%Window != 0 && end != w.geo.size {
		return 0, fmt.Errorf("write %d bytes at %d: not whole windows of the image of %d", len(p), off, w.geo.size)
	}
	for done := 0; done < len(p); {
		n := min(Window, len(p)-done)
		if err := w.writeWindow(p[done:done+n], off+int64(done)); err != nil {
			return done, w.fail(err)
		}
		done += n
	}
	return len(p), nil
}

// fail keeps the first error.
func (w *Writer) fail(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = fmt.Errorf("write qcow2: %w", err)
	}
	return w.err
}
