package convert

import (
	"io"

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
