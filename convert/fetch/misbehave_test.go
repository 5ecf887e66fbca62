package fetch_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/blockmill/blockmill/convert/fetch"
)

type behaviour func(s *server, n int64, w http.ResponseWriter, r *http.Request)

// header changes the header of good answers from the nth request on.
func header(from int64, change func(h http.Header, off, end, total int64)) behaviour {
	return answer(from, http.StatusPartialContent, change, func(p []byte) []byte { return p })
}

// answer is good but for what change does to the header, body to the bytes, and
// the status.
func answer(from int64, status int, change func(h http.Header, off, end, total int64), body func(p []byte) []byte) behaviour {
	return func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		if n < from {
			s.good(n, w, r)
			return
		}
		off, end, _ := s.span(r)
		s.head(w, off, end)
		change(w.Header(), off, end, int64(len(s.content)))
		w.WriteHeader(status)
		_, _ = w.Write(body(s.content[off:end]))
	}
}

// status answers with one from the nth request on.
func status(from int64, code int, headers ...string) behaviour {
	return func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		if n < from {
			s.good(n, w, r)
			return
		}
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

// wire answers with bytes of its own, and closes the connection.
func wire(from int64, f func(c net.Conn, s *server, off, end int64)) behaviour {
	return func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		if n < from {
			s.good(n, w, r)
			return
		}
		off, end, _ := s.span(r)
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer c.Close()
		f(c, s, off, end)
	}
}

// goodHead is the header of a good answer as bytes.
func goodHead(s *server, off, end int64) string {
	return fmt.Sprintf("HTTP/1.1 206 Partial Content\r\nEtag: %s\r\nContent-Range: bytes %d-%d/%d\r\nContent-Length: %d\r\n\r\n", s.etag, off, end-1, len(s.content), end-off)
}

// wholeAs answers 200 to everything, as f says.
func wholeAs(f func(s *server, n int64, w http.ResponseWriter)) behaviour {
	return func(s *server, n int64, w http.ResponseWriter, _ *http.Request) {
		f(s, n, w)
	}
}

func quick(o *fetch.Options) {
	o.HeaderTimeout, o.IdleTimeout, o.Attempts = 60*time.Millisecond, 60*time.Millisecond, 2
}

// idle are for bodies that stop: the header may come late.
func idle(o *fetch.Options) {
	o.HeaderTimeout, o.IdleTimeout, o.Attempts = time.Minute, 60*time.Millisecond, 2
}

// slow are for bodies that dribble: a busy machine's pauses are not for too long.
func slow(o *fetch.Options) {
	o.HeaderTimeout, o.IdleTimeout, o.Attempts = time.Minute, time.Second, 1
}
func spooled(o *fetch.Options) { o.SpoolDir = "/spool" } // replaced by the test's own
func hops(n int) func(*fetch.Options) {
	return func(o *fetch.Options) { o.MaxRedirects = n }
}

// redirect answers without a hop parameter with a redirect.
func redirect(location func(s *server, r *http.Request) string) behaviour {
	return func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		if to := location(s, r); to != "" {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
			return
		}
		s.good(n, w, r)
	}
}

var misbehaviours = []struct {
	name string
	do   behaviour
	opts func(*fetch.Options)
	want error  // nil: the right bytes all the same
	text string // of the error
}{
	// What is asked for and what is said to come.
	{"range from elsewhere", header(2, func(h http.Header, off, end, total int64) {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off-1, end-2, total))
	}), nil, fetch.ErrProtocol, "asked for"},
	{"shorter range", answer(2, 206, func(h http.Header, off, end, total int64) {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, end-2, total))
		h.Set("Content-Length", strconv.FormatInt(end-off-1, 10))
	}, func(p []byte) []byte { return p[:len(p)-1] }), nil, fetch.ErrProtocol, "asked for"},
	{"longer range", answer(1, 206, func(h http.Header, off, end, total int64) {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, end, total))
		h.Set("Content-Length", strconv.FormatInt(end-off+1, 10))
	}, func(p []byte) []byte { return append(bytes.Clone(p), 'x') }), nil, fetch.ErrProtocol, "asked for"},
	{"first range elsewhere", header(1, func(h http.Header, off, end, total int64) {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off+10, end+9, total))
	}), nil, fetch.ErrProtocol, "asked for 0"},
	{"total unknown", header(1, func(h http.Header, off, end, _ int64) {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", off, end-1))
	}), nil, fetch.ErrProtocol, "is no number"},
	{"total grows", header(2, func(h http.Header, off, end, total int64) {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, end-1, total+1))
	}), nil, fetch.ErrChanged, "it was"},
	{"total shrinks", header(2, func(h http.Header, off, end, total int64) {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, end-2, total-1))
	}), nil, fetch.ErrChanged, "bytes long"},
	{"total below the range", header(1, func(h http.Header, off, end, _ int64) {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, end-1, end-1))
	}), nil, fetch.ErrProtocol, "out of order"},
	{"no content range", header(1, func(h http.Header, _, _, _ int64) { h.Del("Content-Range") }), nil, fetch.ErrProtocol, `content range ""`},
	{"two content ranges", header(1, func(h http.Header, _, _, _ int64) { h.Add("Content-Range", h.Get("Content-Range")) }), nil, fetch.ErrProtocol, "2 headers Content-Range"},
	{"content range of letters", header(1, func(h http.Header, _, _, _ int64) { h.Set("Content-Range", "bytes a-b/c") }), nil, fetch.ErrProtocol, `"a" is no number`},
	{"content range with signs", header(1, func(h http.Header, _, end, total int64) {
		h.Set("Content-Range", fmt.Sprintf("bytes +0-%d/%d", end-1, total))
	}), nil, fetch.ErrProtocol, `"+0" is no number`},
	{"content range overflows", header(1, func(h http.Header, _, _, _ int64) {
		h.Set("Content-Range", "bytes 0-9223372036854775806/9223372036854775807")
	}), nil, fetch.ErrProtocol, "too large"},
	{"content range in lines", header(1, func(h http.Header, _, _, _ int64) { h.Set("Content-Range", "lines 0-5/6") }), nil, fetch.ErrProtocol, "lines"},
	{"huge total", header(1, func(h http.Header, off, end, _ int64) {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, end-1, int64(1)<<61))
	}), nil, fetch.ErrTooLarge, "at most"},
	{"multipart", header(1, func(h http.Header, _, _, _ int64) { h.Set("Content-Type", "multipart/byteranges; boundary=x") }), nil, fetch.ErrProtocol, "multipart"},
	{"multipart later, in capitals", header(2, func(h http.Header, _, _, _ int64) { h.Set("Content-Type", " Multipart/ByteRanges; boundary=x") }), nil, fetch.ErrProtocol, "one range was asked for"},
	{"gzip", header(1, func(h http.Header, _, _, _ int64) { h.Set("Content-Encoding", "gzip") }), nil, fetch.ErrProtocol, `content encoding "gzip"`},
	{"identity as an encoding", header(2, func(h http.Header, _, _, _ int64) { h.Set("Content-Encoding", "identity") }), nil, fetch.ErrProtocol, `"identity"`},
	{"two encodings", header(1, func(h http.Header, _, _, _ int64) { h["Content-Encoding"] = []string{"br", "zstd"} }), nil, fetch.ErrProtocol, `"br, zstd"`},
	{"an empty encoding", header(1, func(h http.Header, _, _, _ int64) { h["Content-Encoding"] = []string{""} }), nil, fetch.ErrProtocol, `encoding ""`},
	{"an upload's encoding", header(1, func(h http.Header, _, _, _ int64) { h.Set("Content-Encoding", "aws-chunked") }), nil, nil, ""},
	{"an upload's encoding and another", header(1, func(h http.Header, _, _, _ int64) { h.Set("Content-Encoding", "gzip,aws-chunked") }), nil, fetch.ErrProtocol, "gzip"},
	{"an upload's frames", answer(1, 206, func(h http.Header, _, _, _ int64) { h.Set("Content-Encoding", "aws-chunked") }, func(p []byte) []byte {
		return append([]byte("10000;chunk-signature=ad80c7"), p[28:]...)
	}), nil, fetch.ErrProtocol, "frames of an upload"},
	{"an upload's frames, no ranges", wholeAs(func(s *server, _ int64, w http.ResponseWriter) {
		w.Header().Set("Content-Encoding", "aws-chunked")
		_, _ = w.Write(append([]byte("10000\r\n"), s.content...))
	}), spooled, fetch.ErrProtocol, "frames of an upload"},
	{"200 after 206", func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		if n > 1 {
			r.Header.Del("Range")
		}
		s.good(n, w, r)
	}, nil, fetch.ErrProtocol, "it was 206 before"},

	// Versions.
	{"other tag", header(2, func(h http.Header, _, _, _ int64) { h.Set("Etag", `"v2"`) }), nil, fetch.ErrChanged, `entity tag`},
	{"no tag any more", header(2, func(h http.Header, _, _, _ int64) { h.Del("Etag") }), nil, fetch.ErrChanged, `it was`},
	{"tag becomes weak", header(2, func(h http.Header, _, _, _ int64) { h.Set("Etag", `W/"v1"`) }), nil, fetch.ErrChanged, `W/`},
	{"two tags", header(1, func(h http.Header, _, _, _ int64) { h.Add("Etag", `"v2"`) }), nil, fetch.ErrProtocol, "2 headers Etag"},
	{"412", status(2, 412), nil, fetch.ErrChanged, "412"},
	{"other date", func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		header(1, func(h http.Header, _, _, _ int64) {
			h.Del("Etag")
			h.Set("Last-Modified", time.Unix(n/2*1000, 0).UTC().Format(http.TimeFormat))
		})(s, n, w, r)
	}, nil, fetch.ErrChanged, "modified"},
	{"nothing to hold to", header(1, func(h http.Header, _, _, _ int64) { h.Del("Etag") }), nil, fetch.ErrNoRanges, "no directory"},
	{"a weak tag alone", header(1, func(h http.Header, _, _, _ int64) { h.Set("Etag", `W/"v1"`) }), nil, fetch.ErrNoRanges, "cannot be read in ranges"},
	{"a date that is none", header(1, func(h http.Header, _, _, _ int64) { h.Del("Etag"); h.Set("Last-Modified", "yesterday") }), nil, fetch.ErrNoRanges, "no directory"},
	{"206 to a request for all", header(1, func(h http.Header, _, _, _ int64) { h.Del("Etag") }), spooled, fetch.ErrProtocol, "request for all"},
	{"shorter than it was", status(2, 416, "Content-Range", "bytes */10"), nil, fetch.ErrChanged, "shorter"},
	{"416 at first", status(1, 416, "Content-Range", "bytes */10"), nil, fetch.ErrProtocol, "416"},
	{"416 without a range", status(1, 416), nil, fetch.ErrProtocol, "first bytes"},

	// Statuses.
	{"401", status(1, 401), nil, fetch.ErrGone, "401"},
	{"403", status(1, 403), nil, fetch.ErrGone, "have expired"},
	{"403 in the middle", status(2, 403), nil, fetch.ErrGone, "403"},
	{"404", status(1, 404), nil, fetch.ErrGone, "404"},
	{"410", status(2, 410), nil, fetch.ErrGone, "410"},
	{"418", status(1, 418), nil, fetch.ErrGone, "418"},
	{"429 for ever", status(1, 429), nil, fetch.ErrTemporary, "after 4 attempts: status 429"},
	{"500 for ever", status(2, 500), nil, fetch.ErrTemporary, "status 500"},
	{"503 that asks for an hour", status(1, 503, "Retry-After", "3600"), nil, fetch.ErrTemporary, "after 1 attempts: status 503, to be asked again in 1h0m0s"},
	{"503 now and then", func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		if s.try(r)%3 != 0 {
			status(1, 503, "Retry-After", "0")(s, n, w, r)
			return
		}
		s.good(n, w, r)
	}, nil, nil, ""},
	{"a Retry-After that is none", func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		if s.try(r)%2 == 1 {
			status(1, 503, "Retry-After", "-1e9 moons")(s, n, w, r)
			return
		}
		s.good(n, w, r)
	}, nil, nil, ""},
	{"204", status(1, 204), nil, fetch.ErrProtocol, "204"},
	{"300", status(1, 300), nil, fetch.ErrProtocol, "300"},
	{"304", status(2, 304), nil, fetch.ErrProtocol, "304"},

	// Bodies.
	{"cut short once", func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		wire(1, func(c net.Conn, s *server, off, end int64) {
			if s.try(r)%2 == 0 || n > 10 {
				fmt.Fprintf(c, "%s%s", goodHead(s, off, end), s.content[off:end])
				return
			}
			fmt.Fprintf(c, "%s%s", goodHead(s, off, end), s.content[off:(off+end)/2])
		})(s, n, w, r)
	}, nil, nil, ""},
	{"always cut short", wire(2, func(c net.Conn, s *server, off, end int64) {
		fmt.Fprintf(c, "%s%s", goodHead(s, off, end), s.content[off:off+1])
	}), nil, fetch.ErrTemporary, "the body ends early"},
	{"chunked and cut short", wire(2, func(c net.Conn, s *server, off, end int64) {
		fmt.Fprintf(c, "HTTP/1.1 206 Partial Content\r\nEtag: %s\r\nContent-Range: bytes %d-%d/%d\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n%s\r\n", s.etag, off, end-1, len(s.content), s.content[off:off+16])
	}), nil, fetch.ErrTemporary, "the body ends early"},
	{"chunked and too long", answer(2, 206, func(h http.Header, _, _, _ int64) { h.Del("Content-Length") }, func(p []byte) []byte { return append(bytes.Clone(p), "more"...) }), nil, fetch.ErrProtocol, "more bytes than announced"},
	{"length of another range", wire(2, func(c net.Conn, s *server, off, end int64) {
		fmt.Fprintf(c, "HTTP/1.1 206 Partial Content\r\nEtag: %s\r\nContent-Range: bytes %d-%d/%d\r\nContent-Length: %d\r\n\r\n%s", s.etag, off, end-1, len(s.content), end-off-5, s.content[off:end-5])
	}), nil, fetch.ErrProtocol, "length"},
	{"reset", func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		wire(1, func(c net.Conn, s *server, off, end int64) {
			if s.try(r)%2 == 0 || n > 10 {
				_, _ = io.WriteString(c, goodHead(s, off, end)+string(s.content[off:end]))
				return
			}
			_, _ = io.WriteString(c, goodHead(s, off, end)+string(s.content[off:off+100]))
			_ = c.(*net.TCPConn).SetLinger(0)
		})(s, n, w, r)
	}, nil, nil, ""},
	{"closes at once", wire(1, func(net.Conn, *server, int64, int64) {}), nil, fetch.ErrTemporary, "EOF"},
	{"stops in a body", wire(2, func(c net.Conn, s *server, off, end int64) {
		fmt.Fprintf(c, "%s%s", goodHead(s, off, end), s.content[off:off+10])
		_, _ = c.Read(make([]byte, 1)) // until the client gives up
	}), idle, fetch.ErrTemporary, "nothing arrived for too long"},
	{"dribbles", wire(2, func(c net.Conn, s *server, off, end int64) {
		_, _ = io.WriteString(c, goodHead(s, off, end))
		for i := off; i < end; i++ {
			if _, err := c.Write(s.content[i : i+1]); err != nil {
				return
			}
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			_, _ = c.Read(make([]byte, 1))
		}
	}), slow, fetch.ErrTemporary, "arrives too slowly"},

	// Headers.
	{"says nothing", wire(1, func(c net.Conn, _ *server, _, _ int64) { _, _ = c.Read(make([]byte, 1)) }), quick, fetch.ErrTemporary, "timeout"},
	{"a header without end", wire(1, func(c net.Conn, _ *server, _, _ int64) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for {
			if _, err := fmt.Fprintf(c, "X-Filler: %s\r\n", strings.Repeat("x", 1000)); err != nil {
				return
			}
		}
	}), nil, fetch.ErrTemporary, "exceeded"},
	{"no HTTP", wire(1, func(c net.Conn, _ *server, _, _ int64) { _, _ = io.WriteString(c, "220 mail.example ESMTP\r\n\r\n") }), nil, fetch.ErrTemporary, "malformed HTTP"},
	{"no HTTP, but the signature", func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		wire(1, func(c net.Conn, _ *server, _, _ int64) { _, _ = io.WriteString(c, r.URL.RawQuery+"\r\n\r\n") })(s, n, w, r)
	}, nil, fetch.ErrTemporary, "quotes the URL"},
	{"a range of the signature", func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		header(2, func(h http.Header, _, _, _ int64) { h.Set("Content-Range", r.URL.Query().Get("X-Amz-Signature")) })(s, n, w, r)
	}, nil, fetch.ErrProtocol, "quotes the URL"},
	{"a header that is none", wire(1, func(c net.Conn, _ *server, _, _ int64) {
		_, _ = io.WriteString(c, "HTTP/1.1 206 OK\r\nno header at all\r\n\r\n")
	}), nil, fetch.ErrProtocol, "malformed"},
	{"interim answers without end", wire(1, func(c net.Conn, _ *server, _, _ int64) {
		for {
			if _, err := io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"); err != nil {
				return
			}
		}
	}), nil, fetch.ErrTemporary, "exceeded"},
	{"unasked bytes behind an answer", wire(1, func(c net.Conn, s *server, off, end int64) {
		_, _ = io.WriteString(c, goodHead(s, off, end)+string(s.content[off:end])+"what nobody asked for")
	}), nil, nil, ""},

	// Redirects.
	{"a redirect", redirect(func(s *server, _ *http.Request) string { return s.URL + "/else" }), nil, fetch.ErrForbidden, "redirect 1 of at most 0"},
	{"a circle", redirect(func(_ *server, r *http.Request) string { return r.URL.Path + "x" }), hops(3), fetch.ErrForbidden, "redirect 4 of at most 3"},
	{"a redirect to a file", redirect(func(*server, *http.Request) string { return "file:///etc/passwd" }), hops(3), fetch.ErrForbidden, "scheme"},
	{"a redirect to another address", redirect(func(*server, *http.Request) string { return "http://169.254.169.254/latest/meta-data" }), hops(3), fetch.ErrForbidden, "link-local"},
	{"a redirect with a password", redirect(func(s *server, _ *http.Request) string { return "http://u:p@" + s.Listener.Addr().String() + "/" }), hops(1), fetch.ErrForbidden, "user information"},
	{"a redirect to nowhere", status(1, 302), hops(1), fetch.ErrProtocol, "0 places"},
	{"a redirect to what is no URL", status(1, 302, "Location", "http://[::1/%zz"), hops(1), fetch.ErrProtocol, "no URL"},
	{"a good redirect", redirect(func(s *server, r *http.Request) string {
		if r.URL.Path == "/second" {
			return ""
		}
		return "/second"
	}), hops(1), nil, ""},
	{"a redirect that ends", func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		target := "/first"
		if n > 3 {
			target = "/second"
		}
		switch r.URL.Path {
		case "/":
			w.Header().Set("Location", target)
			w.WriteHeader(http.StatusTemporaryRedirect)
		case target:
			s.good(n, w, r)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	}, hops(1), nil, ""},

	// One stream.
	{"no ranges, no directory", wholeAs(func(s *server, _ int64, w http.ResponseWriter) { _, _ = w.Write(s.content) }), nil, fetch.ErrNoRanges, "no directory"},
	{"no ranges", wholeAs(func(s *server, _ int64, w http.ResponseWriter) {
		w.Header().Set("Content-Length", strconv.Itoa(len(s.content)))
		_, _ = w.Write(s.content)
	}), spooled, nil, ""},
	{"no ranges, no length", wholeAs(func(s *server, _ int64, w http.ResponseWriter) { _, _ = w.Write(s.content) }), spooled, nil, ""},
	{"no ranges, no end", wire(1, func(c net.Conn, s *server, _, _ int64) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%s", s.content[:1000])
	}), spooled, fetch.ErrProtocol, "does not say where it ends"},
	{"no ranges, too long", wholeAs(func(s *server, _ int64, w http.ResponseWriter) {
		w.Header().Set("Content-Length", "99999999999999")
	}), spooled, fetch.ErrTooLarge, "without ranges"},
	{"no ranges, no length, too long", wholeAs(func(s *server, _ int64, w http.ResponseWriter) {
		for {
			if _, err := w.Write(s.content); err != nil {
				return
			}
		}
	}), func(o *fetch.Options) { spooled(o); o.MaxSpool = 1 << 20 }, fetch.ErrTooLarge, "more than 1048576"},
	{"no ranges, cut short once", func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		wire(1, func(c net.Conn, s *server, _, _ int64) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(s.content), s.content[:len(s.content)*int(min(n, 2))/2])
		})(s, n, w, r)
	}, spooled, nil, ""},
	{"no ranges, always cut short", wire(1, func(c net.Conn, s *server, _, _ int64) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(s.content), s.content[:1000])
	}), spooled, fetch.ErrTemporary, "unexpected EOF"},
	{"no ranges, other bytes the second time", func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		wire(1, func(c net.Conn, s *server, _, _ int64) {
			p := bytes.Clone(s.content)
			p[10] += byte(n)
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(p), p[:len(p)*int(min(n, 2))/2])
		})(s, n, w, r)
	}, spooled, fetch.ErrChanged, "other bytes than at the first attempt"},
	{"no ranges, another length the second time", func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		wire(1, func(c net.Conn, s *server, _, _ int64) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(s.content)+int(n), s.content[:5000])
		})(s, n, w, r)
	}, spooled, fetch.ErrChanged, "bytes long"},
	{"no ranges, another tag the second time", func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
		wire(1, func(c net.Conn, s *server, _, _ int64) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nEtag: \"%d\"\r\nContent-Length: %d\r\n\r\n%s", n, len(s.content), s.content[:5000])
		})(s, n, w, r)
	}, spooled, fetch.ErrChanged, "entity tag"},
	{"no ranges, chunked, cut short", wire(1, func(c net.Conn, s *server, _, _ int64) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n%s\r\n", s.content[:1000])
	}), spooled, fetch.ErrTemporary, "unexpected EOF"},
	{"no ranges, stops", wire(1, func(c net.Conn, s *server, _, _ int64) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(s.content), s.content[:5000])
		_, _ = c.Read(make([]byte, 1))
	}), func(o *fetch.Options) { idle(o); spooled(o) }, fetch.ErrTemporary, "nothing arrived"},
}

// TestMisbehave reads from servers that break, lie and change. What is read is
// right, or there is an error that says what is wrong.
func TestMisbehave(t *testing.T) {
	t.Parallel()
	if len(misbehaviours) < 60 {
		t.Fatalf("%d ways to misbehave, want 60", len(misbehaviours))
	}
	for i, m := range misbehaviours {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for _, piece := range []int{1 << 20, 70_000, 5000} {
				s := newServer(t, content(300_000, uint64(i)))
				s.handler = m.do
				opts := local()
				if m.opts != nil {
					m.opts(&opts)
				}
				if opts.SpoolDir != "" {
					opts.SpoolDir = t.TempDir()
				}
				url := s.URL + "/?X-Amz-Signature=deadbeefdeadbeef"
				src, err := fetch.Open(t.Context(), url, opts)
				var got []byte
				if err == nil {
					got, err = readAll(src, piece)
				}
				switch {
				case m.want == nil && err != nil:
					t.Errorf("pieces of %d: %v", piece, err)
				case err == nil && !bytes.Equal(got, s.content):
					t.Errorf("pieces of %d: wrong bytes and no error", piece)
				case m.want != nil && (!errors.Is(err, m.want) || !strings.Contains(err.Error(), m.text)):
					t.Errorf("pieces of %d: error %v, want %q of %v", piece, err, m.text, m.want)
				case err != nil && strings.Contains(err.Error(), "deadbeef"):
					t.Errorf("the error shows the signature: %v", err)
				}
			}
		})
	}
}

// TestSilentBodies has servers send a header and nothing after it where the body is
// not wanted: the client leaves, and does not wait for it.
func TestSilentBodies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		head string
		want error // nil: the second request is answered well
	}{
		{"101", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", fetch.ErrProtocol},
		{"302", "HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Length: 100\r\n\r\n", nil},
		{"302, chunked", "HTTP/1.1 302 Found\r\nLocation: /else\r\nTransfer-Encoding: chunked\r\n\r\n", nil},
		{"302, no end", "HTTP/1.1 302 Found\r\nLocation: /else\r\nConnection: close\r\n\r\n", nil},
		{"302, long", "HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Length: 100000000\r\n\r\n", nil},
		{"403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\n", fetch.ErrGone},
		{"503", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 100\r\n\r\n", nil},
		{"encoding", "HTTP/1.1 206 Partial Content\r\nContent-Encoding: gzip\r\nContent-Range: bytes 0-99/100\r\nContent-Length: 100\r\n\r\n", fetch.ErrProtocol},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			left := make(chan error, 1)
			s := newServer(t, content(100_000, 1))
			s.handler = func(s *server, n int64, w http.ResponseWriter, r *http.Request) {
				if n > 1 {
					s.good(n, w, r)
					return
				}
				wire(1, func(c net.Conn, _ *server, _, _ int64) {
					_, _ = io.WriteString(c, tt.head)
					_ = c.SetReadDeadline(time.Now().Add(time.Minute))
					_, err := c.Read(make([]byte, 1))
					left <- err
				})(s, n, w, r)
			}
			opts := local()
			opts.MaxRedirects = 1
			src, err := fetch.Open(t.Context(), s.URL, opts)
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if err == nil {
				src.Close()
			}
			if err := <-left; errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the client waits for the body")
			}
		})
	}
}

// TestEchoedSecret has servers put a long signature into what messages quote and
// what a source is held to.
func TestEchoedSecret(t *testing.T) {
	t.Parallel()
	secret := fmt.Sprintf("%x", content(256, 5))
	shows := func(text string) bool {
		for i := 0; i+secretShown <= len(secret); i++ {
			if strings.Contains(text, secret[i:i+secretShown]) {
				return true
			}
		}
		return strings.Contains(text, "swordfis")
	}
	query := "/?token=swordfish&X-Goog-Signature=" + secret
	for name, before := range map[string]string{"Content-Range": "", "Content-Encoding": "", "Content-Type": "multipart/", "Etag": ""} {
		for _, value := range []string{secret, secret[:80], secret[100:131], `"` + secret + `"`, strings.Repeat("x", 72-len(before)) + "swordfish"} {
			s := newServer(t, content(300_000, 1))
			s.handler = header(2, func(h http.Header, _, _, _ int64) {
				h.Set(name, before+value)
			})
			src, err := fetch.Open(t.Context(), s.URL+query, local())
			if err == nil {
				_, err = readAll(src, 50_000)
			}
			if err == nil || shows(err.Error()) {
				t.Errorf("%s of %d bytes: error %v", name, len(value), err)
			}
		}
	}
	s := newServer(t, content(300_000, 1))
	s.etag = `"` + secret + `"`
	if pin := mustOpen(t, s.URL+query, local()).Pin(); pin == "" || shows(pin) {
		t.Errorf("pin %q", pin)
	}
	s.etag = `"` + secret[:20] + `"`
	if pin := mustOpen(t, s.URL+query, local()).Pin(); pin == "" || shows(pin) {
		t.Errorf("pin %q", pin)
	}
}

// secretShown is how much of a secret gives it away.
const secretShown = 16
