package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// ranges reads a source whose server gives ranges, and holds it to one version.
type ranges struct {
	client *client
	pin    pin
}

// read fills p with the bytes at off, which the source has. What a failed attempt
// brought is kept: the next one asks for the rest.
func (r *ranges) read(ctx context.Context, p []byte, off int64) error {
	done := 0
	err := r.client.retry(ctx, func() error {
		n, err := r.attempt(ctx, p[done:], off+int64(done))
		done += n
		return err
	})
	if err != nil {
		return fmt.Errorf("fetch %d bytes at %d: %w", len(p), off, err)
	}
	return nil
}

// rangeReader reads ranges as io.ReaderAt, until the context ends.
type rangeReader struct {
	ctx context.Context
	*ranges
}

// ReadAt reads all of p, or fails.
func (r rangeReader) ReadAt(p []byte, off int64) (int, error) {
	if err := r.read(r.ctx, p, off); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (r *ranges) attempt(ctx context.Context, p []byte, off int64) (int, error) {
	a := ask{pin: r.pin, off: off, end: off + int64(len(p))}
	ans, err := r.client.get(ctx, a)
	if _, ok := errors.AsType[*unsatisfiedError](err); ok {
		return 0, fmt.Errorf("it is shorter than it was: %w", ErrChanged)
	}
	if err != nil {
		return 0, err
	}
	defer ans.body.end()
	if err := r.check(ans, a); err != nil {
		return 0, err
	}
	return ans.body.fill(p)
}

// check holds an answer against what was asked for.
func (r *ranges) check(ans *answer, a ask) error {
	if err := r.pin.check(ans.header); err != nil {
		return err
	}
	if ans.status != http.StatusPartialContent {
		return fmt.Errorf("status %d to a request for a range, it was 206 before: %w", ans.status, ErrProtocol)
	}
	got, err := parseContentRange(ans.header.Get("Content-Range"))
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	case got.total != r.pin.size:
		return fmt.Errorf("%d bytes long, it was %d: %w", got.total, r.pin.size, ErrChanged)
	case got.off != a.off || got.end != a.end:
		return fmt.Errorf("bytes %d to %d, asked for %d to %d: %w", got.off, got.end, a.off, a.end, ErrProtocol)
	case ans.length >= 0 && ans.length != a.end-a.off:
		return fmt.Errorf("length %d of a range of %d bytes: %w", ans.length, a.end-a.off, ErrProtocol)
	}
	return nil
}

// fill reads exactly p, at which the body must end.
func (b *body) fill(p []byte) (int, error) {
	n, err := io.ReadFull(b, p)
	switch {
	case n == len(p):
		if err := b.finish(); errors.Is(err, ErrProtocol) {
			return 0, err
		}
		return n, nil // all is here: how the connection ended is no matter
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("%w: %d of %d bytes", errShort, n, len(p))
	}
	return n, err
}

var errShort = errors.New("the body ends early")
