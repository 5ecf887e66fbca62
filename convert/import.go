package convert

import (
	"context"

	"github.com/blockmill/blockmill/blockio/cas"
)

// Import stores an image's guest bytes in the session's store and commits
// them. The manifest is durable then, and stays only as long as the session is
// open or a record names it.
func Import(ctx context.Context, s *cas.Session, img Image, opts Options) (cas.ImageInfo, error) {
	opts = opts.withDefaults()
	dst, err := s.CreateImage(img.Size())
	if err != nil {
		return cas.ImageInfo{}, err
	}
	err = each(ctx, img, opts, nil, func(ctx context.Context, w *window, p []byte) error {
		return dst.PutWindow(ctx, w.index, p)
	})
	if err != nil {
		return cas.ImageInfo{}, err
	}
	return dst.Commit(ctx)
}

// Digest computes the digest that a store would give the image.
func Digest(ctx context.Context, img Image, opts Options) (cas.Digest, error) {
	opts = opts.withDefaults()
	d := cas.NewDigester(img.Size())
	err := each(ctx, img, opts, nil, func(_ context.Context, w *window, p []byte) error {
		return d.PutWindow(w.index, p)
	})
	if err != nil {
		return cas.Digest{}, err
	}
	return d.Sum()
}
