package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"sync"

	"github.com/blockmill/blockmill/blockio"
)

// directRead is the shortest read that is one request of its own. It need not be
// aligned: large reads of neighbours do not overlap. What readers of images take
// in shorter ones is tables, and a few clusters between holes are no sign that the
// rest of a block is wanted: neighbours read that by requests of their own.
const directRead = 32 << 10

// Source is the file at a URL. It is safe for concurrent use.
type Source struct {
	client *client
	pin    pin
	ctx    context.Context // of all requests; Close ends it
	cancel context.CancelCauseFunc
	stop   context.CancelFunc // of the deadline

	// One of the three: what is read in ranges, comes in one stream, or came
	// with the first answer.
	cache  *blockio.Cache
	stream *stream
	held   []byte

	closing sync.Once

	mu    sync.Mutex
	paged []*blockio.Cache // of Pages; guarded by mu
}

// Open asks for the source and says what it is; its first bytes are there then.
// The context bounds the whole life of the source, not only the opening.
// Whatever is wrong is one of the package's errors, as far as it is the source
// or the server.
func Open(ctx context.Context, rawURL string, opts Options) (*Source, error) {
	s, err := open(ctx, rawURL, opts.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", Redact(rawURL), err)
	}
	return s, nil
}

func open(ctx context.Context, rawURL string, opts Options) (*Source, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	c, err := newClient(rawURL, opts)
	if err != nil {
		return nil, err
	}
	s := &Source{client: c}
	ctx, s.stop = context.WithTimeoutCause(ctx, opts.Deadline, errDeadline)
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	if err := s.probe(); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// probe asks for the first block, and learns from the answer how the source can
// be read.
func (s *Source) probe() error {
	var first []byte
	err := s.client.retry(s.ctx, func() (err error) {
		first, err = s.attempt()
		return err
	})
	switch {
	case err != nil || s.stream != nil:
		return err
	case s.pin.size == int64(len(first)):
		s.held = first
		return nil
	case !s.pin.holds(): // ranges of several versions could not be told apart
		return s.openStream(nil)
	}
	opts := &s.client.opts
	s.cache = s.newCache(blockio.CacheOptions{BlockSize: opts.BlockSize, Direct: directRead, ReadAhead: opts.ReadAhead})
	s.cache.Put(first, 0)
	return nil
}

// newCache makes a cache over the ranges of the source.
func (s *Source) newCache(opts blockio.CacheOptions) *blockio.Cache {
	return blockio.NewCache(rangeReader{s.ctx, &ranges{s.client, s.pin}}, s.pin.size, s.client.opts.Arena, opts)
}

// openStream reads the source in one piece, that of an answer or another.
func (s *Source) openStream(ans *answer) (err error) {
	if s.stream, err = openStream(s.ctx, s.client, ans); err == nil {
		s.pin = s.stream.pin
	}
	return err
}

// attempt asks once for the first block. The answer may be a stream instead.
func (s *Source) attempt() ([]byte, error) {
	opts := &s.client.opts
	a := ask{end: int64(opts.BlockSize)}
	ans, err := s.client.get(s.ctx, a)
	if empty, ok := errors.AsType[*unsatisfiedError](err); ok {
		if n, perr := parseUnsatisfied(empty.contentRange); perr != nil || n != 0 {
			return nil, fmt.Errorf("status 416 to a request for the first bytes: %w", ErrProtocol)
		}
		s.pin = pin{}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if ans.status == http.StatusOK {
		return nil, s.openStream(ans)
	}
	defer ans.body.end()
	got, err := parseContentRange(ans.header.Get("Content-Range"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if got.total > opts.MaxSize {
		return nil, fmt.Errorf("%d bytes, at most %d: %w", got.total, opts.MaxSize, ErrTooLarge)
	}
	s.pin = newPin(ans.header, got.total)
	a.end = min(a.end, got.total)
	if err := (&ranges{s.client, s.pin}).check(ans, a); err != nil {
		return nil, err
	}
	p := make([]byte, a.end)
	n, err := ans.body.fill(p)
	if err == nil {
		err = checkFrames(ans.header, p)
	}
	return p[:n], err
}

// Size is the length in bytes.
func (s *Source) Size() int64 { return s.pin.size }

// Pin identifies the version that the source is held to, without secrets: its
// place, its size and a hash of its tag or date. It is empty when nothing identifies a version:
// then no later Open can be known to give the same bytes.
func (s *Source) Pin() string {
	if s.pin.String() == "" {
		return ""
	}
	return s.Redacted() + " " + s.pin.String()
}

// Redacted is the URL without what may be secret.
func (s *Source) Redacted() string { return redact(s.client.origin) }

// ReadAt reads as io.ReaderAt says. It fetches what is not there; a source that
// cannot be read in ranges makes it wait until the stream has come so far.
func (s *Source) ReadAt(p []byte, off int64) (int, error) { return s.readAt(s.cache, p, off) }

// readAt reads by way of one of the source's caches, if it has any.
func (s *Source) readAt(cache *blockio.Cache, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s at %d: negative offset", s.Redacted(), off)
	}
	if off >= s.pin.size {
		return 0, io.EOF
	}
	var end error
	if int64(len(p)) > s.pin.size-off {
		p, end = p[:s.pin.size-off], io.EOF
	}
	if err := s.read(cache, p, off); err != nil {
		return 0, fmt.Errorf("read %s: %w", s.Redacted(), err)
	}
	return len(p), end
}

func (s *Source) read(cache *blockio.Cache, p []byte, off int64) error {
	switch {
	case s.ctx.Err() != nil:
		return context.Cause(s.ctx)
	case cache != nil:
		_, err := cache.ReadAt(p, off)
		if errors.Is(err, fs.ErrClosed) {
			err = ErrClosed
		}
		return err
	case s.stream != nil:
		return s.stream.read(p, off)
	}
	copy(p, s.held[off:])
	return nil
}

// Close ends all requests. Reads under way fail, and later ones too.
func (s *Source) Close() error {
	s.closing.Do(s.end)
	return nil
}

func (s *Source) end() {
	s.cancel(ErrClosed)
	s.stop()
	if s.cache != nil {
		_ = s.cache.Close() // it never fails
	}
	s.mu.Lock()
	paged := s.paged
	s.mu.Unlock()
	for _, c := range paged {
		_ = c.Close() // like the other
	}
	if s.stream != nil {
		s.stream.close()
	}
	s.client.close()
}
