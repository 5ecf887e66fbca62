package cas

import (
	"context"
	"fmt"
	"io"
	"iter"
	"sync/atomic"

	"github.com/blockmill/blockmill/blockio"
)

// Image is a committed image, open for reading. Garbage collection keeps what it
// needs until Close.
type Image struct {
	store    *Store
	manifest *manifest
	reads    *readBuffers
	closed   atomic.Bool
}

// partKey names the part of a manifest for a window.
type partKey struct {
	manifest ManifestID
	window   int64
}

// OpenImage opens an image by its manifest; ErrNotFound without one, ErrClosed after
// Close. The first
// of a store waits for its share of the arena: the caller must hold none of its
// buffers.
func (s *Store) OpenImage(ctx context.Context, id ManifestID) (*Image, error) {
	reads, err := s.readable(ctx)
	if err != nil {
		return nil, fmt.Errorf("open image: %w", err)
	}
	if err := s.enterImage(id); err != nil {
		return nil, fmt.Errorf("open image %v: %w", id, err)
	}
	m, err := openManifest(ctx, s.opts.Volume, s.header.id, id)
	if err != nil {
		s.leaveImage(id)
		return nil, fmt.Errorf("open image: %w", err)
	}
	return &Image{store: s, manifest: m, reads: reads}, nil
}

// enterImage makes an open image a root of garbage collection.
func (s *Store) enterImage(id ManifestID) error {
	s.roots.RLock()
	defer s.roots.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("store: %w", ErrClosed)
	}
	if _, ok := s.doomed[id]; ok {
		return ErrNotFound
	}
	s.images[id]++
	return nil
}

func (s *Store) leaveImage(id ManifestID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.images[id]--; s.images[id] == 0 {
		delete(s.images, id)
	}
}

// Close ends the reading. No call may be under way.
func (im *Image) Close() error {
	if im.closed.Swap(true) {
		return nil
	}
	im.store.leaveImage(im.manifest.head.id)
	return im.manifest.close()
}

// Size is the virtual size in bytes.
func (im *Image) Size() int64 { return im.manifest.head.size }

// Digest identifies the guest bytes.
func (im *Image) Digest() Digest { return im.manifest.foot.digest }

// DataBytes is how many bytes of the image are in chunks; the rest is zero.
func (im *Image) DataBytes() int64 { return im.manifest.foot.data }

// ReadAt reads guest bytes. The chunks of a large read are fetched in the order in
// which they lie in the segments; those of which a small read wants a part are
// kept decoded for a while.
func (im *Image) ReadAt(p []byte, off int64) (int, error) {
	size := im.Size()
	if off < 0 {
		return 0, fmt.Errorf("read image: negative offset %d", off)
	}
	if off >= size {
		return 0, io.EOF
	}
	var end error
	if int64(len(p)) > size-off {
		p, end = p[:size-off], io.EOF
	}
	if err := im.read(context.Background(), p, off); err != nil {
		return 0, fmt.Errorf("read image %v: %w", im.manifest.head.id, err)
	}
	return len(p), end
}

// Extents tells which runs hold data, from the manifest alone. Data may contain
// zeros; what is no data is a hole.
func (im *Image) Extents(ctx context.Context, off, length int64) iter.Seq2[blockio.Extent, error] {
	return func(yield func(blockio.Extent, error) bool) {
		if off < 0 || length < 0 || off > im.Size()-length {
			yield(blockio.Extent{}, fmt.Errorf("map image: range of %d bytes at %d is not in %d", length, off, im.Size()))
			return
		}
		for e, err := range im.extents(ctx, off, off+length) {
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// extents joins neighbouring runs of one state.
func (im *Image) extents(ctx context.Context, off, end int64) iter.Seq2[blockio.Extent, error] {
	return func(yield func(blockio.Extent, error) bool) {
		at := off            // all below was yielded
		from, to := off, off // a run of data that may still grow
		emit := func(to int64, state blockio.State) bool {
			if to == at {
				return true
			}
			e := blockio.Extent{Offset: at, Length: to - at, Host: blockio.NoHost, State: state}
			at = to
			return yield(e, nil)
		}
		for run, err := range im.runs(ctx, off, end) {
			if err != nil {
				yield(blockio.Extent{}, err)
				return
			}
			if run.Offset != to {
				if !emit(from, blockio.Hole) || !emit(to, blockio.Data) {
					return
				}
				from = run.Offset
			}
			to = run.End()
		}
		_ = emit(from, blockio.Hole) && emit(to, blockio.Data) && emit(end, blockio.Hole)
	}
}

// runs yields the chunks of a range, clipped to it.
func (im *Image) runs(ctx context.Context, off, end int64) iter.Seq2[blockio.Extent, error] {
	return func(yield func(blockio.Extent, error) bool) {
		for at, err := range im.manifest.places(off / WindowSize) {
			if err == nil {
				err = ctx.Err()
			}
			base := int64(at.window) * WindowSize
			if err == nil && base >= end {
				return
			}
			var chunks []chunk
			if err == nil {
				chunks, err = im.window(int64(at.window))
			}
			if err != nil {
				yield(blockio.Extent{}, fmt.Errorf("map image: %w", err))
				return
			}
			for _, c := range chunks {
				lo, hi := max(base+int64(c.off), off), min(base+int64(c.off)+int64(c.len), end)
				if lo < hi && !yield(blockio.Extent{Offset: lo, Length: hi - lo}, nil) {
					return
				}
			}
		}
	}
}
