package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// body is a response's body that may neither stop nor dribble. It must be read
// by one goroutine and ended.
type body struct {
	r        io.ReadCloser
	ctx      context.Context // of the request
	cancel   context.CancelCauseFunc
	watchdog *time.Timer
	client   *client
	begun    time.Time
	n        int64
	last     error // of Read
}

var (
	errIdle = errors.New("nothing arrived for too long")
	errSlow = errors.New("it arrives too slowly")
)

// newBody takes over the response's body and the client's turn.
func (c *client) newBody(ctx context.Context, cancel context.CancelCauseFunc, r io.ReadCloser) *body {
	return &body{
		r: r, ctx: ctx, cancel: cancel, client: c, begun: time.Now(),
		watchdog: time.AfterFunc(c.opts.IdleTimeout, func() { cancel(errIdle) }),
	}
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.n += int64(n)
	b.client.opts.Metrics.bytes.Add(int64(n))
	if n > 0 {
		b.watchdog.Reset(b.client.opts.IdleTimeout)
	}
	if err != nil && err != io.EOF && b.ctx.Err() != nil {
		err = context.Cause(b.ctx)
	}
	if err == nil {
		err = b.checkRate()
	}
	b.last = err
	return n, err
}

// checkRate holds the body to its share of the least rate of the source.
func (b *body) checkRate() error {
	opts, took := &b.client.opts, time.Since(b.begun)
	share := float64(opts.MinRate) / float64(max(1, len(b.client.turns)))
	if took < opts.IdleTimeout || float64(b.n) >= took.Seconds()*share {
		return nil
	}
	return fmt.Errorf("%d bytes in %v: %w", b.n, took.Round(time.Second), errSlow)
}

// end gives up the rest of the body.
func (b *body) end() {
	b.watchdog.Stop()
	_ = b.r.Close() // what was wanted was read
	b.cancel(nil)
	<-b.client.turns
}

// ended says whether the body was read to its end, and not cut short: err is what
// io.ReadFull said, which has one name for both.
func (b *body) ended(err error) bool {
	return err == io.EOF || err == io.ErrUnexpectedEOF && b.last == io.EOF
}

// finish reads the end that must follow, so that the connection can be used
// again.
func (b *body) finish() error {
	var one [1]byte
	n, err := io.ReadFull(b, one[:])
	switch {
	case n > 0:
		return fmt.Errorf("more bytes than announced: %w", ErrProtocol)
	case err == io.EOF:
		return nil
	}
	return err
}
