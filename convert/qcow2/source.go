package qcow2

import (
	"fmt"
	"io"
)

// readFull reads exactly len(p) bytes. The end of the source in their midst
// is io.ErrUnexpectedEOF.
func readFull(src io.ReaderAt, p []byte, off int64) error {
	n, err := src.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read %d bytes at %d: %w", len(p), off, err)
}
