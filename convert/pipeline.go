package convert

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// each reads every window of the image that holds data, calls fn with it, and
// runs the image's whole-file check beside that and after it. fn is called concurrently; p
// is its own until it returns. The first error of all ends everything. Windows
// that skip, unless it is nil, wants to skip count as done; it is called in their
// order, before fn.
func each(ctx context.Context, img Image, opts Options, skip func(w *window) bool, fn func(ctx context.Context, w *window, p []byte) error) error {
	progress := newMeter(opts.Progress)
	g, ctx := errgroup.WithContext(ctx)
	read := make(chan struct{})
	g.Go(func() error { return check(ctx, img, read) })
	if progress != nil {
		g.Go(func() error { return progress.measure(ctx, img) })
	}
	g.Go(func() error {
		if err := carry(ctx, img, opts, progress, skip, fn); err != nil {
			return err
		}
		close(read)
		return nil
	})
	return g.Wait()
}

// carry carries the windows of each.
func carry(
	ctx context.Context, img Image, opts Options, progress *meter,
	skip func(w *window) bool, fn func(ctx context.Context, w *window, p []byte) error,
) error {
	part := opts.Share.join()
	defer part.leave()
	workers, ctx := errgroup.WithContext(ctx)
	ended := make(chan struct{}, opts.Workers)
	flying := 0
	for w, err := range windows(ctx, img) {
		if err == nil && skip != nil && skip(&w) {
			progress.add(w.data())
			continue
		}
		for ; flying >= part.of(opts.Workers); flying-- {
			<-ended
		}
		flying++
		workers.Go(func() error {
			defer func() { ended <- struct{}{} }()
			if err != nil {
				return fmt.Errorf("read extents: %w", err)
			}
			if opts.Background != nil {
				opts.Background()
			}
			err := one(ctx, img, &w, opts, func(ctx context.Context, w *window, p []byte) error {
				part.read()
				return fn(ctx, w, p)
			})
			if err != nil {
				return err
			}
			progress.add(w.data())
			return nil
		})
	}
	return workers.Wait()
}

// one carries a window. It holds one buffer of the arena and blocks for no
// other.
func one(ctx context.Context, img Image, w *window, opts Options, fn func(ctx context.Context, w *window, p []byte) error) error {
	buf, err := opts.Arena.Get(ctx, int(w.length))
	if err != nil {
		return err
	}
	defer buf.Release()
	p := buf.Bytes()
	if err := w.read(img, p); err != nil {
		return fmt.Errorf("read at %d: %w", w.off, err)
	}
	return fn(ctx, w, p)
}
