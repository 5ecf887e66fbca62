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
	l := pipeline{img: img, opts: opts, skip: skip, fn: fn, progress: newMeter(opts.Progress)}
	g, ctx := errgroup.WithContext(ctx)
	read := make(chan struct{})
	g.Go(func() error { return check(ctx, img, read) })
	if l.progress != nil {
		g.Go(func() error { return l.progress.measure(ctx, img) })
	}
	g.Go(func() error {
		if err := l.carry(ctx); err != nil {
			return err
		}
		close(read)
		return nil
	})
	return g.Wait()
}

// pipeline is one call of each.
type pipeline struct {
	img      Image
	opts     Options
	skip     func(w *window) bool
	fn       func(ctx context.Context, w *window, p []byte) error
	progress *meter // may be nil
}

// carry carries all windows, as many at a time as the share has.
func (l *pipeline) carry(ctx context.Context) error {
	part := l.opts.Share.join()
	defer part.leave()
	workers, ctx := errgroup.WithContext(ctx)
	ended := make(chan struct{}, l.opts.Workers)
	flying := 0
	for w, err := range windows(ctx, l.img) {
		if err == nil && l.skip != nil && l.skip(&w) {
			l.progress.add(w.data())
			continue
		}
		for ; flying >= part.of(l.opts.Workers); flying-- {
			<-ended
		}
		flying++
		workers.Go(func() error {
			defer func() { ended <- struct{}{} }()
			if err != nil {
				return fmt.Errorf("read extents: %w", err)
			}
			return l.one(ctx, &w, part)
		})
	}
	return workers.Wait()
}

// one carries a window. It holds one buffer of the arena and blocks for no
// other.
func (l *pipeline) one(ctx context.Context, w *window, part *shared) error {
	if l.opts.Background != nil {
		l.opts.Background()
	}
	buf, err := l.opts.Arena.Get(ctx, int(w.length))
	if err != nil {
		return err
	}
	defer buf.Release()
	p := buf.Bytes()
	if err := w.read(l.img, p); err != nil {
		return fmt.Errorf("read at %d: %w", w.off, err)
	}
	part.read()
	if err := l.fn(ctx, w, p); err != nil {
		return err
	}
	l.progress.add(w.data())
	return nil
}
