package convert

import (
	"context"
	"fmt"
	"io"
)

// Writer writes a new image. WriteAt takes guest bytes in windows: it is
// called concurrently with disjoint ranges that begin at multiples of
// WindowSize and are a window long, but for the last. What is never written
// reads as zeros. Finish makes the image complete and durable; after an error
// it is not called, and what was written is no image.
type Writer interface {
	io.WriterAt
	Finish(ctx context.Context) error
}

// Copy writes an image's guest bytes to dst and finishes it.
func Copy(ctx context.Context, dst Writer, img Image, opts Options) error {
	opts = opts.withDefaults()
	err := each(ctx, img, opts, nil, func(_ context.Context, w *window, p []byte) error {
		if _, err := dst.WriteAt(p, w.off); err != nil {
			return fmt.Errorf("write at %d: %w", w.off, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return dst.Finish(ctx)
}
