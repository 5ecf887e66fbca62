package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
)

// stream is a source that comes in one piece: it is kept in a file without a
// name while it arrives, and reads wait for their bytes.
type stream struct {
	client *client
	ctx    context.Context
	file   *os.File
	pin    pin
	done   chan struct{} // closed when nothing more arrives

	mu   sync.Mutex
	more *sync.Cond // on mu: have or err changed
	have int64      // bytes in the file; guarded by mu
	size int64      // -1 while it is not known; guarded by mu
	err  error      // why there will be no more; guarded by mu
}

// openStream begins to keep a source: the one of an answer, or of a new request.
// When the server does not say how long the source is, it returns at its end.
func openStream(ctx context.Context, c *client, ans *answer) (*stream, error) {
	s := &stream{client: c, ctx: ctx, done: make(chan struct{}), size: -1}
	s.more = sync.NewCond(&s.mu)
	if c.opts.SpoolDir == "" {
		if ans != nil {
			ans.body.end()
		}
		return nil, fmt.Errorf("%w, and no directory is given to keep it in", ErrNoRanges)
	}
	if ans == nil {
		err := c.retry(ctx, func() (err error) {
			ans, err = s.ask()
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	err := s.admit(ans)
	if err == nil {
		s.file, err = spoolFile(c.opts.SpoolDir)
	}
	if err != nil {
		ans.body.end()
		return nil, err
	}
	go s.run(ans)
	if ans.length < 0 {
		<-s.done
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size < 0 {
		s.file.Close()
		return nil, s.err
	}
	s.pin.size = s.size
	return s, nil
}

// ask asks for the whole source.
func (s *stream) ask() (*answer, error) {
	ans, err := s.client.get(s.ctx, ask{})
	if err == nil && ans.status != http.StatusOK {
		ans.body.end()
		err = fmt.Errorf("status %d to a request for all: %w", ans.status, ErrProtocol)
	}
	return ans, err
}

// admit takes the source's length and version from the first answer, and compares
// later ones.
func (s *stream) admit(ans *answer) error {
	opts := &s.client.opts
	most := min(opts.MaxSize, opts.MaxSpool)
	switch {
	case !ans.framed:
		return fmt.Errorf("the answer does not say where it ends: %w", ErrProtocol)
	case ans.length > most:
		return fmt.Errorf("%d bytes, at most %d without ranges: %w", ans.length, most, ErrTooLarge)
	}
	first := s.file == nil
	if first {
		if err := opts.SpoolRoom(max(0, ans.length)); err != nil {
			return &spoolError{err}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first {
		s.size = ans.length
		s.pin = newPin(ans.header, max(0, ans.length))
		return nil
	}
	if ans.length != s.size && ans.length >= 0 && s.size >= 0 {
		return fmt.Errorf("%d bytes long, it was %d: %w", ans.length, s.size, ErrChanged)
	}
	return s.pin.check(ans.header)
}

// run keeps what arrives. After a failure it asks for all again, and compares the
// beginning with what it has: so what is kept is of one version in any case.
func (s *stream) run(ans *answer) {
	defer close(s.done)
	err := s.client.retry(s.ctx, func() (err error) {
		if ans == nil {
			if ans, err = s.ask(); err != nil {
				return err
			}
			if err = s.admit(ans); err != nil {
				ans.body.end()
				return err
			}
		}
		defer func() { ans = nil }()
		defer ans.body.end()
		return s.keep(ans)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.size, err = s.have, errEnd
	}
	s.err = err
	s.more.Broadcast()
}

// errEnd is that nothing more arrives, since all is here.
var errEnd = errors.New("the stream has ended")

const streamBuffer = 256 << 10

// keep writes the body of an answer to the file, from its beginning on.
func (s *stream) keep(ans *answer) error {
	b := ans.body
	most := min(s.client.opts.MaxSize, s.client.opts.MaxSpool)
	buf, old := make([]byte, streamBuffer), make([]byte, streamBuffer)
	for off := int64(0); ; {
		n, err := io.ReadFull(b, buf)
		if off+int64(n) > most {
			return fmt.Errorf("more than %d bytes without ranges: %w", most, ErrTooLarge)
		}
		if off == 0 {
			if err := checkFrames(ans.header, buf[:n]); err != nil {
				return err
			}
		}
		if werr := s.place(buf[:n], old[:n], off); werr != nil {
			return werr
		}
		off += int64(n)
		switch {
		case err == nil:
		case b.ended(err):
			return s.checkEnd(off)
		default:
			return err
		}
	}
}

// place writes bytes at off, or compares them with those that are there.
func (s *stream) place(p, old []byte, off int64) error {
	s.mu.Lock()
	have := s.have
	s.mu.Unlock()
	if n := min(int64(len(p)), max(0, have-off)); n > 0 {
		if _, err := s.file.ReadAt(old[:n], off); err != nil {
			return &spoolError{err}
		}
		if !bytes.Equal(p[:n], old[:n]) {
			return fmt.Errorf("other bytes than at the first attempt: %w", ErrChanged)
		}
		p, off = p[n:], off+n
	}
	if len(p) == 0 {
		return nil
	}
	if err := s.client.opts.SpoolRoom(int64(len(p))); err != nil {
		return &spoolError{err}
	}
	if _, err := s.file.WriteAt(p, off); err != nil {
		return &spoolError{err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.have = off + int64(len(p))
	s.more.Broadcast()
	return nil
}

// checkEnd looks at where a body ended.
func (s *stream) checkEnd(off int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.size >= 0 && off < s.size:
		return fmt.Errorf("%w: %d of %d bytes", errShort, off, s.size)
	case off < s.have:
		return fmt.Errorf("the body is %d bytes long, %d had come before: %w", off, s.have, ErrChanged)
	}
	return nil
}

// spoolError says that the file could not be written or read: that is not the
// server's fault, and final.
type spoolError struct{ err error }

func (e *spoolError) Error() string { return "keep the stream: " + e.err.Error() }
func (e *spoolError) Unwrap() error { return e.err }

// read waits for the bytes at off.
func (s *stream) read(p []byte, off int64) error {
	s.mu.Lock()
	for s.have < off+int64(len(p)) && s.err == nil {
		s.more.Wait()
	}
	have, err := s.have, s.err
	s.mu.Unlock()
	if have < off+int64(len(p)) {
		return err
	}
	if _, err := s.file.ReadAt(p, off); err != nil && !errors.Is(err, io.EOF) {
		return &spoolError{err}
	}
	return nil
}

// close ends the stream, whose context has ended.
func (s *stream) close() {
	<-s.done
	s.file.Close()
}
