package compute

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/blockmill/blockmill/convert/fetch"
)

// hashBlock is how much of a file is hashed at a time.
const hashBlock = 1 << 20

// verifySHA256 compares the SHA-256 of a whole file with the expected one, as
// fetch.Source.Verify does: fetch.ErrChecksum. It does nothing when none is
// expected.
func verifySHA256(ctx context.Context, src io.ReaderAt, size int64, want []byte) error {
	if len(want) == 0 {
		return nil
	}
	h := sha256.New()
	buf := make([]byte, min(size, hashBlock))
	for off := int64(0); off < size; off += int64(len(buf)) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p := buf[:min(int64(len(buf)), size-off)]
		if n, err := src.ReadAt(p, off); n < len(p) {
			return fmt.Errorf("hash the file: %w", err)
		}
		_, _ = h.Write(p) // a hash never fails
	}
	if got := h.Sum(nil); !bytes.Equal(got, want) {
		return fmt.Errorf("the file's SHA-256 is %x, expected %x: %w", got, want, fetch.ErrChecksum)
	}
	return nil
}
