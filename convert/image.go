package convert

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/blockmill/blockmill/blockio"
)

// Image is a disk image as its guest sees it. ReadAt reads guest bytes, zeros
// where the image holds nothing, and may be called concurrently.
type Image interface {
	io.ReaderAt
	blockio.Mapper
	// Size is the virtual size in bytes.
	Size() int64
}

// Checker is what an Image has whose container can be wrong in ways that
// opening it does not show: tables that overlap, references beyond the file,
// sums that disagree. Check looks at all metadata, beside concurrent ReadAt
// calls, and never at the data.
//
// When read is not nil, somebody reads the image and closes read after the last
// ReadAt. A check of metadata that stands among the data may wait for that, to
// read what ReadAt did not meet, and nothing twice.
type Checker interface {
	Check(ctx context.Context, read <-chan struct{}) error
}

// Planner is what an Image has that can tell more cheaply than by its extents where
// it may hold data: Plan yields those places in order, as extents that need
// not tell zeros from data. It is nil when extents cost no more.
type Planner interface {
	Plan(ctx context.Context) iter.Seq2[blockio.Extent, error]
}

// Plan tells where an image may hold data, as cheaply as it can.
func Plan(ctx context.Context, img Image) iter.Seq2[blockio.Extent, error] {
	if p, ok := img.(Planner); ok {
		if plan := p.Plan(ctx); plan != nil {
			return plan
		}
	}
	return img.Extents(ctx, 0, img.Size())
}

// check runs the whole-file check of an image that has one.
func check(ctx context.Context, img Image, read <-chan struct{}) error {
	if c, ok := img.(Checker); ok {
		return c.Check(ctx, read)
	}
	return nil
}

// readFull reads len(p) bytes at off; a short source is an error, never zeros.
func readFull(src io.ReaderAt, p []byte, off int64) error {
	n, err := src.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
