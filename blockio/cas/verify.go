package cas

import (
	"context"
	"errors"
	"fmt"

	"github.com/blockmill/blockmill/blockio"
	"golang.org/x/sync/errgroup"
)

// Verify reads a whole image and checks the BLAKE3 of every chunk and the image's
// digest. It waits for the arena: the caller must hold none of its buffers.
func (s *Store) Verify(ctx context.Context, id ManifestID) (err error) {
	im, err := s.OpenImage(ctx, id)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	defer func() { err = errors.Join(err, im.Close()) }()
	if err := im.verify(ctx); err != nil {
		return fmt.Errorf("verify image %v: %w", id, err)
	}
	return nil
}

func (im *Image) verify(ctx context.Context) error {
	digester := NewDigester(im.Size())
	places := make(chan place)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(places)
		for at, err := range im.manifest.places(0) {
			if err != nil {
				return err
			}
			select {
			case places <- at:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range blockio.Processors() {
		g.Go(func() error {
			buf, err := im.store.opts.Arena.Get(ctx, WindowSize)
			if err != nil {
				return err
			}
			defer buf.Release()
			for at := range places {
				if err := im.verifyWindow(ctx, at, buf.Bytes(), digester); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	sum, err := digester.Sum()
	if err == nil && sum != im.Digest() {
		err = corrupt(im.manifest.head.id.object(), im.manifest.foot.size-manifestFooterSize+48, "digest %v, the image has %v", im.Digest(), sum)
	}
	return err
}

func (im *Image) verifyWindow(ctx context.Context, at place, buf []byte, d *Digester) error {
	buf = buf[:windowLen(im.Size(), int64(at.window))]
	if err := im.read(ctx, buf, int64(at.window)*WindowSize); err != nil {
		return err
	}
	chunks, err := im.window(int64(at.window))
	if err != nil {
		return err
	}
	for _, c := range chunks {
		if got := identify(buf[c.off : c.off+c.len]); got != c.id {
			loc, err := im.store.index.resolve(ctx, c.id, true)
			if err != nil {
				return err
			}
			return corrupt(loc.segment.object(), int64(loc.off), "chunk is %v, expected %v", got, c.id)
		}
	}
	return d.PutWindow(int64(at.window), buf)
}
