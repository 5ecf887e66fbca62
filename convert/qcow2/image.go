package qcow2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"github.com/blockmill/blockmill/blockio"
)

// Image is an open image's active layer.
type Image struct {
	src   io.ReaderAt
	paged paged
	geo   *geometry
	hdr   header
	ext   extensions
	opts  Options

	decoder decoder
	buffers *bufferSource
	readers sync.Pool // of *reader

	// Of small clusters in a source that fetches: what readers saw, nil of others,
	// and what came of fetching more than was asked for.
	seen *seen
	use  spanUse
}

// Open checks the header and the places of the tables, and reads no more than
// that. size is the file's length in bytes. The image uses src until it is
// dropped; there is nothing to close.
func Open(src io.ReaderAt, size int64, opts Options) (*Image, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("open qcow2: %w", err)
	}
	h, ext, err := readHeader(src, size, opts)
	if err != nil {
		return nil, err
	}
	geo := newGeometry(h, size)
	im := &Image{
		src: src, paged: newPaged(src, geo), geo: geo, hdr: h, ext: ext, opts: opts,
		decoder: newDecoder(h.compressionType),
		buffers: newBufferSource(opts.Arena),
	}
	if im.paged.ahead != nil && geo.clusterSize <= smallCluster {
		im.seen = new(seen)
	}
	return im, nil
}

// Size is the virtual size in bytes.
func (im *Image) Size() int64 { return im.geo.size }

// Extents tells what the image holds in a range: unallocated clusters are
// holes, zero clusters zeros. Neighbours of one state make one extent, over
// all tables; plain data only as far as its place in the file goes on.
func (im *Image) Extents(ctx context.Context, off, length int64) iter.Seq2[blockio.Extent, error] {
	return func(yield func(blockio.Extent, error) bool) {
		if off < 0 || length < 0 || length > im.geo.size-off {
			yield(blockio.Extent{}, fmt.Errorf("extents %d+%d: outside the image of %d bytes", off, length, im.geo.size))
			return
		}
		var last blockio.Extent
		err := newWalker(im, longTablePage).walk(ctx, off, off+length, func(r run) error {
			e := r.extent()
			if last.Length != 0 && e.Compressed && last.Compressed {
				last.Length += e.Length
				return nil
			}
			if last.Length != 0 && !yield(last, nil) {
				return errStopped
			}
			last = e
			return nil
		})
		switch {
		case errors.Is(err, errStopped):
		case err != nil:
			yield(blockio.Extent{}, err)
		case last.Length != 0:
			yield(last, nil)
		}
	}
}

// Plan tells where the image may hold data, as extents in order: of small clusters
// in a source that fetches, for which tables and data are best read together, what
// has a table. It is nil where Extents cost little.
func (im *Image) Plan(ctx context.Context) iter.Seq2[blockio.Extent, error] {
	if im.seen == nil {
		return nil
	}
	return func(yield func(blockio.Extent, error) bool) {
		err := im.eachL2(ctx, func(index, _ int64, _ bool) error {
			off := index << im.geo.l1Shift()
			length := min(1<<im.geo.l1Shift(), im.geo.size-off)
			if length > 0 && !yield(blockio.Extent{Offset: off, Length: length, State: blockio.Data, Host: blockio.NoHost}, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(blockio.Extent{}, err)
		}
	}
}

// errStopped ends a walk whose caller wants no more.
var errStopped = errors.New("stopped by the caller")

func (r run) extent() blockio.Extent {
	e := blockio.Extent{Offset: r.off, Length: r.length, Host: blockio.NoHost}
	switch r.kind {
	case unallocated:
		e.State = blockio.Hole
	case zero:
		e.State = blockio.Zero
	case plain:
		e.State, e.Host = blockio.Data, r.host
	case compressed:
		e.State, e.Compressed = blockio.Data, true
	}
	return e
}
