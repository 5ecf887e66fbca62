package raw

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert/badimage"
)

const sectorSize = 512

// Image is an open image. It is safe for concurrent use.
type Image struct {
	src    io.ReaderAt
	mapper blockio.Mapper
	size   int64
}

// Info describes an image.
type Info struct {
	VirtualSize int64 `json:"virtual_size"`
}

// Open opens size bytes as an image. They must be whole sectors, at least one;
// else Open returns a *badimage.Error.
func Open(src io.ReaderAt, size int64) (*Image, error) {
	if size <= 0 {
		return nil, badimage.Corrupt("raw", "size", badimage.NoOffset, badimage.Int(size), "at least 512 bytes")
	}
	if size%sectorSize != 0 {
		return nil, badimage.Corrupt("raw", "size", badimage.NoOffset, badimage.Int(size), "a multiple of 512 bytes")
	}
	mapper, _ := src.(blockio.Mapper)
	return &Image{src: src, mapper: mapper, size: size}, nil
}

// Size is the virtual size in bytes.
func (img *Image) Size() int64 { return img.size }

// Info describes the image.
func (img *Image) Info() Info { return Info{VirtualSize: img.size} }

// Check has nothing to check: Open looked at all there is.
func (img *Image) Check(context.Context, <-chan struct{}) error { return nil }

// ReadAt reads guest bytes. A source that ends before its size is an error,
// io.ErrUnexpectedEOF.
func (img *Image) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read raw image: offset %d: below 0", off)
	}
	if off >= img.size {
		return 0, io.EOF
	}
	want := int(min(int64(len(p)), img.size-off))
	n, err := img.src.ReadAt(p[:want], off)
	switch {
	case n == want && want == len(p):
		return n, nil
	case n == want:
		return n, io.EOF
	case err == nil || errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return n, fmt.Errorf("read raw image at offset %d: %w", off+int64(n), err)
}

// Extents yields the extents of the source, or one of data when the source
// knows none.
func (img *Image) Extents(ctx context.Context, off, length int64) iter.Seq2[blockio.Extent, error] {
	if off < 0 || length < 0 || length > img.size-off {
		return func(yield func(blockio.Extent, error) bool) {
			yield(blockio.Extent{}, fmt.Errorf("map raw image: %d bytes at %d: outside of the image", length, off))
		}
	}
	if img.mapper != nil {
		return img.mapper.Extents(ctx, off, length)
	}
	return func(yield func(blockio.Extent, error) bool) {
		if length > 0 {
			yield(blockio.Extent{Offset: off, Length: length, Host: off, State: blockio.Data}, nil)
		}
	}
}
