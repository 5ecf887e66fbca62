package fetch

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// client asks one server for one source. It is safe for concurrent use.
type client struct {
	// Immutable.
	opts      Options
	rules     *rules
	transport *http.Transport
	origin    *url.URL
	turns     chan struct{} // has a token of every request under way

	mu      sync.Mutex
	target  *url.URL // where redirects led, nil for the origin; guarded by mu
	secrets secrets  // of all URLs so far; guarded by mu
}

func newClient(raw string, opts Options) (*client, error) {
	r, err := opts.Guard.rules()
	if err != nil {
		return nil, err
	}
	u, err := parseURL(raw, r)
	if err != nil {
		return nil, err
	}
	return &client{
		opts: opts, rules: r, transport: newTransport(r, opts), origin: u,
		turns: make(chan struct{}, opts.Parallel), secrets: secrets(nil).with(u),
	}, nil
}

// answer is a response of status 200 or 206 whose header is in order. Its body
// must be ended.
type answer struct {
	status int
	header http.Header
	length int64 // of the body; -1 when only its end tells
	// framed says that a body which was cut short can be told from a whole one.
	framed bool
	body   *body
}

// ask is what a request is for.
type ask struct {
	pin pin
	// off and end are the range, the whole source when end is 0.
	off, end int64
}

func (a ask) header() http.Header {
	h := http.Header{"Accept-Encoding": {"identity"}, "User-Agent": {"blockmill"}}
	if a.end > 0 {
		h.Set("Range", fmt.Sprintf("bytes=%d-%d", a.off, a.end-1))
	}
	a.pin.ask(h)
	return h
}

// get makes one attempt.
func (c *client) get(ctx context.Context, a ask) (*answer, error) {
	select {
	case c.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	rctx, cancel := context.WithCancelCause(ctx)
	resp, err := c.follow(rctx, a)
	if err == nil {
		if err = checkAnswer(resp); err == nil {
			return &answer{
				status: resp.StatusCode, header: resp.Header, length: resp.ContentLength,
				framed: resp.ContentLength >= 0 || len(resp.TransferEncoding) > 0,
				body:   c.newBody(rctx, cancel, resp.Body),
			}, nil
		}
		discard(resp)
	}
	cancel(nil)
	<-c.turns
	return nil, err
}

// hide makes sure that an error's message gives no secret away, whatever the
// server put into what it quotes.
func (c *client) hide(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.secrets.hide(err)
}

// follow goes where redirects lead. What was found is where the next request
// begins; when that has ended, as temporary URLs do, once more from the origin.
func (c *client) follow(ctx context.Context, a ask) (*http.Response, error) {
	c.mu.Lock()
	from := c.target
	c.mu.Unlock()
	if from != nil {
		resp, err := c.request(ctx, from, a)
		if err != nil || !isFinal(resp.StatusCode) {
			return c.settle(resp, err, from)
		}
		discard(resp)
	}
	u := c.origin
	for hop := 0; ; hop++ {
		resp, err := c.request(ctx, u, a)
		if err != nil || !isRedirect(resp.StatusCode) {
			return c.settle(resp, err, u)
		}
		discard(resp)
		if hop == c.opts.MaxRedirects {
			return nil, fmt.Errorf("redirect %d of at most %d: %w", hop+1, c.opts.MaxRedirects, ErrForbidden)
		}
		if u, err = c.redirect(u, resp.Header.Values("Location")); err != nil {
			return nil, err
		}
	}
}

// settle remembers where an answer came from, or turns one that is none into an
// error.
func (c *client) settle(resp *http.Response, err error, u *url.URL) (*http.Response, error) {
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		defer discard(resp)
		return nil, statusError(resp, u)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.target = u; u == c.origin {
		c.target = nil
	}
	return resp, nil
}

func (c *client) request(ctx context.Context, u *url.URL, a ask) (*http.Response, error) {
	req := (&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: a.header(), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	resp, err := c.transport.RoundTrip(req)
	c.opts.Metrics.requested(resp, err)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return resp, err
}

// redirect is where a response from u leads, if that is allowed.
func (c *client) redirect(u *url.URL, locations []string) (*url.URL, error) {
	if len(locations) != 1 || len(locations[0]) > maxURL {
		return nil, fmt.Errorf("redirect to %d places: %w", len(locations), ErrProtocol)
	}
	next, err := u.Parse(locations[0])
	if err != nil {
		return nil, fmt.Errorf("redirect to what is no URL: %w", ErrProtocol)
	}
	c.mu.Lock()
	c.secrets = c.secrets.with(next)
	c.mu.Unlock()
	if err := checkURL(next, c.rules); err != nil {
		return nil, fmt.Errorf("redirect: %w: %w", ErrForbidden, err)
	}
	if u.Scheme == "https" && next.Scheme != "https" {
		return nil, fmt.Errorf("redirect from https to http: %w", ErrForbidden)
	}
	return plainURL(next), nil
}

// checkAnswer looks at what every good answer has in common.
func checkAnswer(resp *http.Response) error {
	if err := checkEncoding(resp.Header); err != nil {
		return err
	}
	kind := resp.Header.Get("Content-Type")
	if strings.HasPrefix(strings.ToLower(strings.TrimSpace(kind)), "multipart/") {
		return fmt.Errorf("content type %s, one range was asked for: %w", quote(kind), ErrProtocol)
	}
	for _, name := range []string{"Content-Range", "Etag", "Last-Modified"} {
		if n := len(resp.Header.Values(name)); n > 1 {
			return fmt.Errorf("%d headers %s: %w", n, name, ErrProtocol)
		}
	}
	return nil
}

// What a body that nobody wants is read of, and for how long, for the sake of the
// connection.
const (
	discardBytes = 4 << 10
	discardTime  = time.Second
)

// discard ends a response whose body nobody wants. After a 101 there is no body, but
// a connection that knows no context.
func discard(resp *http.Response) {
	if resp.StatusCode != http.StatusSwitchingProtocols && !resp.Close && resp.ContentLength <= discardBytes {
		patience := time.AfterFunc(discardTime, func() { _ = resp.Body.Close() })
		_, _ = io.CopyN(io.Discard, resp.Body, discardBytes) // what is wrong with it is no matter
		patience.Stop()
	}
	_ = resp.Body.Close()
}

// close drops the connections. No request may be under way.
func (c *client) close() { c.transport.CloseIdleConnections() }
