package fetch_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/blockmill/blockmill/convert/fetch"
)

func TestContentRange(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][3]int64{
		"bytes 0-0/1": {0, 1, 1}, "bytes 5-9/100": {5, 10, 100}, "bytes 0-4611686018427387901/4611686018427387902": {0, 1<<62 - 2, 1<<62 - 2},
	} {
		off, end, total, err := fetch.ParseContentRange(text)
		if err != nil || [3]int64{off, end, total} != want {
			t.Errorf("%q: %d %d %d, %v", text, off, end, total, err)
		}
	}
	for _, text := range []string{
		"", "bytes", "bytes ", "bytes 0-0", "bytes 0/1", "bytes -1/1", "bytes 0-/1", "bytes 1-0/2", "bytes 0-1/1", "bytes */1", "bytes 0-0/*",
		"Bytes 0-0/1", "bytes  0-0/1", "bytes 0-0/1 ", "bytes 0 - 0/1", "bytes=0-0/1", "bytes 0-0/0x1", "bytes 0-0/1,bytes 0-0/1", "bytes 0-0/99999999999999999999", "bytes ٠-٠/1",
	} {
		if _, _, _, err := fetch.ParseContentRange(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func FuzzContentRange(f *testing.F) {
	f.Add("bytes 0-99/100")
	f.Add("bytes */100")
	f.Fuzz(func(t *testing.T, text string) {
		off, end, total, err := fetch.ParseContentRange(text)
		if err == nil && (off < 0 || off >= end || end > total || total >= 1<<62) {
			t.Errorf("%q: %d to %d of %d", text, off, end, total)
		}
		if n, err := fetch.ParseUnsatisfied(text); err == nil && (n < 0 || n >= 1<<62) {
			t.Errorf("%q: %d", text, n)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "7.5": 0, "99999999999999999999": 0, "4000": time.Hour,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
		now.Add(99 * time.Hour).Format(http.TimeFormat): time.Hour, "soon": 0,
	} {
		if got := fetch.RetryAfter(text, now); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func FuzzHeaderFields(f *testing.F) {
	f.Add("120", `"tag"`, "Fri, 02 Jan 2026 03:04:05 GMT")
	f.Add("Fri, 02 Jan 2026 03:04:05 GMT", `W/"tag"`, "")
	f.Fuzz(func(t *testing.T, after, tag, modified string) {
		if d := fetch.RetryAfter(after, time.Unix(1e9, 0)); d < 0 || d > time.Hour {
			t.Errorf("%q: %v", after, d)
		}
		pin := fetch.PinOf(http.Header{"Etag": {tag}, "Last-Modified": {modified}}, 1)
		if strings.ContainsFunc(pin, func(r rune) bool { return r < ' ' || r > 0x7e }) {
			t.Errorf("pin %q of tag %q", pin, tag)
		}
	})
}

func FuzzRedact(f *testing.F) {
	f.Add("https://h.example/p", "X-Amz-Signature=", "#f")
	f.Add("https://user:", "", "@h.example/")
	f.Fuzz(func(t *testing.T, before, key, after string) {
		if strings.ContainsAny(before, "?#") {
			return
		}
		if got := fetch.Redact(before + "?" + key + "SECRET-SIGNATURE" + after); strings.Contains(got, "SECRET-SIGNATURE") {
			t.Errorf("%q", got)
		}
	})
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 1, 2, 4, 4, 5, 0, time.UTC)
	for _, query := range []string{
		"X-Amz-Date=20260102T030405Z&X-Amz-Expires=3600", "X-Goog-Date=20260102T030405Z&X-Goog-Expires=3600",
		"se=2026-01-02T04%3A04%3A05Z&sig=x", "Expires=1767326645&Signature=x",
	} {
		if got, ok := fetch.Expiry(&url.URL{RawQuery: query}); !ok || !got.Equal(want) {
			t.Errorf("%s: %v, %v", query, got, ok)
		}
	}
	for _, query := range []string{"", "X-Amz-Date=20260102T030405Z", "X-Amz-Date=now&X-Amz-Expires=1", "Expires=tomorrow", "Expires=1"} {
		if got, ok := fetch.Expiry(&url.URL{RawQuery: query}); ok {
			t.Errorf("%s: %v", query, got)
		}
	}
}

// FuzzAnswer lets servers answer with any bytes at all.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 206 Partial Content\r\nEtag: \"x\"\r\nContent-Range: bytes 0-4/5\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 416 No\r\nContent-Range: bytes */0\r\n\r\n"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	sentinels := []error{
		fetch.ErrURL, fetch.ErrForbidden, fetch.ErrChanged, fetch.ErrGone, fetch.ErrTemporary, fetch.ErrTooLarge,
		fetch.ErrProtocol, fetch.ErrNoRanges, fetch.ErrClosed,
	}
	opts := local()
	opts.MaxRedirects, opts.Attempts, opts.MaxSpool, opts.SpoolDir = 1, 1, 1<<20, f.TempDir()
	f.Fuzz(func(t *testing.T, answer []byte) {
		done := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(done)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				if ctx.Err() != nil {
					c.Close()
					return
				}
				_, _ = c.Read(make([]byte, 4096))
				_, _ = c.Write(answer)
				c.Close()
			}
		}()
		src, err := fetch.Open(ctx, "http://"+l.Addr().String()+"/", opts)
		if err == nil {
			_, err = readAll(src, 1000)
		}
		known := err == nil
		for _, s := range sentinels {
			known = known || errors.Is(err, s)
		}
		if !known {
			t.Errorf("unknown error %v", err)
		}
		cancel()
		if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
			c.Close()
		}
		<-done
	})
}
