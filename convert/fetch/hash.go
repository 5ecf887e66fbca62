package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
)

// Verify compares the SHA-256 of the whole source with the expected one:
// ErrChecksum. It does nothing when none is expected.
//
// A SHA-256 is computed in order, so Verify reads the source from end to end,
// beside other reads: those that go through the source at the same pace share
// what is fetched, others do not, and the source may come over the network
// twice.
func (s *Source) Verify(ctx context.Context) error {
	want := s.client.opts.SHA256
	if len(want) == 0 {
		return nil
	}
	if s.cache != nil {
		s.cache.Scan()
	}
	h := sha256.New()
	buf := make([]byte, s.client.opts.BlockSize)
	for off := int64(0); off < s.pin.size; off += int64(len(buf)) {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if s.cache != nil {
			s.cache.Prefetch(off, int64(len(buf))*int64(1+s.client.opts.ReadAhead))
		}
		p := buf[:min(int64(len(buf)), s.pin.size-off)]
		if _, err := s.ReadAt(p, off); err != nil {
			return err
		}
		_, _ = h.Write(p) // a hash never fails
	}
	if got := h.Sum(nil); !bytes.Equal(got, want) {
		return fmt.Errorf("verify %s: SHA-256 is %x, expected %x: %w", s.Redacted(), got, want, ErrChecksum)
	}
	return nil
}
