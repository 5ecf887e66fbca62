package server_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/server"
	"github.com/blockmill/blockmill/pool"
)

func (r *rig) connect(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(r.rest, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

// trickle sends a text and then a byte now and then, until the server has enough.
func trickle(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { c.Close(); <-done })
	go func() {
		defer close(done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := c.Write([]byte("x")); err != nil {
				return
			}
		}
	}()
}

// TestSlowRequests sends requests that never end, while one may be under way at
// once.
func TestSlowRequests(t *testing.T) {
	r := start(t, server.Limits{Handshake: 100 * time.Millisecond, Receive: 100 * time.Millisecond, Idle: 100 * time.Millisecond, Requests: 1})
	id := r.submit(t, "wait", "f")
	get := "GET /operations/" + id + " HTTP/1.1\r\nHost: 127.0.0.1\r\n"
	for _, tc := range []struct{ name, text, answer string }{
		{"nothing", "", ""},
		{"a header", get + "X: ", ""},
		{"a body", "POST /operations/" + id + ":cancel HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n", "HTTP/1.1 408"},
		{"chunks", "POST /operations/" + id + ":cancel HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n", "HTTP/1.1 408"},
	} {
		// The place of the request before is free a moment after its answer.
		settled(t, func() bool {
			c := r.connect(t)
			if tc.text != "" {
				trickle(t, c, tc.text)
			}
			got, err := io.ReadAll(c)
			if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
				t.Errorf("%s: the connection is kept", tc.name)
			}
			if bytes.HasPrefix(got, []byte("HTTP/1.1 429")) {
				return false
			}
			// The connection may end before the answer has come: the client sends on.
			if len(got) > 0 && (tc.answer == "" || !strings.HasPrefix(string(got), tc.answer)) {
				t.Errorf("%s: %q, %v", tc.name, got, err)
			}
			return true
		})
		r.settle(t, "/operations/"+id)
	}
	// A connection without requests is closed after its answer; one whose request
	// was late, as on a busy machine, before.
	settled(t, func() bool {
		c := r.connect(t)
		_, _ = io.WriteString(c, get+"\r\n")
		got, err := io.ReadAll(c)
		if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
			t.Fatal("the connection is kept")
		}
		return bytes.HasPrefix(got, []byte("HTTP/1.1 200"))
	})
}

// settle asks until the places are free: they are a moment after the answer. A
// request that is late is cut off, and sent again.
func (r *rig) settle(t *testing.T, path string) {
	t.Helper()
	settled(t, func() bool {
		resp, err := http.Get(r.rest + path)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		if code := resp.StatusCode; code != http.StatusOK && code != http.StatusTooManyRequests && code != http.StatusRequestTimeout {
			t.Fatal(resp.Status)
		}
		return resp.StatusCode == http.StatusOK
	})
}

// settled waits until something is so.
func settled(t *testing.T, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("it does not settle")
		}
	}
}

// TestUnreadAnswer asks for more than the kernel takes, and reads none of it.
func TestUnreadAnswer(t *testing.T) {
	r := start(t, server.Limits{Receive: 50 * time.Millisecond})
	wrote := make(chan error, 1)
	h, err := r.REST(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p := make([]byte, 60<<10) // for more there is more time
		var err error
		for range 1 << 10 {
			if _, err = w.Write(p); err != nil {
				break
			}
		}
		wrote <- err
	}))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- r.ServeREST(l, nil, h) }()
	// This is before the server's shutdown.
	t.Cleanup(func() { l.Close(); <-served })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	select {
	case err := <-wrote:
		if err == nil {
			t.Error("all was written")
		}
	case <-time.After(time.Minute):
		t.Error("the answer waits for its reader")
	}
}

func TestRequestHeaders(t *testing.T) {
	r := start(t, server.Limits{HeaderBytes: 4096})
	c := r.connect(t)
	// The server reads 4 KiB more than it is told.
	fmt.Fprintf(c, "GET /endpoints HTTP/1.1\r\nHost: 127.0.0.1\r\nX: %s\r\n\r\n", strings.Repeat("x", 16<<10))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// TestCompressedRequest sends what is small on the way only.
func TestCompressedRequest(t *testing.T) {
	r := start(t, server.Limits{})
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(append(append([]byte(`{"operationId":"`), bytes.Repeat([]byte("x"), 16<<20)...), `"}`...)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, headers := range [][]string{
		{"Content-Encoding", "gzip"},
		{"Content-Type", "application/json", "Connect-Protocol-Version", "1", "Content-Encoding", "gzip"},
		{"Content-Type", "application/grpc-web+proto", "Grpc-Encoding", "gzip"},
		{"Content-Type", "application/connect+json", "Connect-Content-Encoding", "gzip"},
	} {
		path := "/operations/none:cancel"
		if len(headers) > 2 {
			path = "/yandex.cloud.operation.OperationService/Cancel"
		}
		code, doc, _ := r.ask(t, "POST", path, bomb.String(), headers...)
		if code != http.StatusUnsupportedMediaType {
			t.Errorf("%v: %d %v", headers, code, doc)
		}
	}
}

func TestStrangersLeaveRoomForRequests(t *testing.T) {
	r := start(t, server.Limits{Requests: 8, SubjectRequests: 100})
	const token = "t1.me.x"
	err := r.auth.SetAccounts([]auth.Account{
		{ID: "me", TokenSHA256: []string{sha(token)}, Folders: map[pool.FolderID]auth.Grant{"f": {Role: auth.Viewer}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := r.connect(t)
	trickle(t, c, "POST /operations/none:cancel HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n")
	for code := 0; code != http.StatusTooManyRequests; {
		code, _, _ = r.ask(t, "GET", "/operations/none", "")
		if code != http.StatusTooManyRequests && code != http.StatusUnauthorized {
			t.Fatalf("a stranger: %d", code)
		}
	}
	if code, _, _ := r.ask(t, "GET", "/operations/none", "", "Authorization", "Bearer "+token); code != http.StatusNotFound {
		t.Errorf("somebody known: %d", code)
	}
}
