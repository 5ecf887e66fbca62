package lazy

import (
	"fmt"
	"io"
)

// Grown writes the map of a disk to w as it is when the disk has grown to size,
// and returns its length in bytes. What was grown is zeros, and nothing of it the
// disk's own. The data file has the size before the new map takes the old one's
// place; nobody has the disk open. ErrRange when the disk is larger, or would have
// more blocks than a map may tell of.
func Grown(old io.ReaderAt, w io.WriterAt, size int64) (int64, error) {
	h, err := readHeader(old)
	if err != nil {
		return 0, err
	}
	was := mapSize(h)
	if size < h.size {
		return 0, fmt.Errorf("grow lazy disk of %d bytes to %d: %w", h.size, size, ErrRange)
	}
	h.size = size
	if h.blocks() > maxBlocks {
		return 0, fmt.Errorf("grow lazy disk to %d blocks: %w", h.blocks(), ErrRange)
	}
	if _, err := w.WriteAt(h.encode(), 0); err != nil {
		return 0, fmt.Errorf("write header of the map: %w", err)
	}
	sectors := io.NewSectionReader(old, headerSize, was-headerSize)
	if _, err := io.Copy(io.NewOffsetWriter(w, headerSize), sectors); err != nil {
		return 0, fmt.Errorf("copy map: %w", err)
	}
	return mapSize(h), nil
}
