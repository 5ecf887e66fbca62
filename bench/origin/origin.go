// Package origin is the web server that images are fetched from while that is
// measured.
//
// [Start] serves the files of a directory on loopback: in ranges, each with a
// strong entity tag, by the kernel's own copy from the page cache to the socket.
// A [Server] is safe for concurrent use. It lists nothing and takes nothing.
package origin

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// Network is where servers are, for those that have to allow it.
const Network = "127.0.0.0/8"

// Server serves one directory until Close.
type Server struct {
	root *os.Root
	http http.Server
	addr string
	done chan error
}

// headerTime bounds how long a client may take to ask.
const headerTime = 10 * time.Second

// Start serves the files in dir.
func Start(dir string) (*Server, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("serve files: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serve files: %w", err), root.Close())
	}
	s := &Server{root: root, addr: l.Addr().String(), done: make(chan error, 1)}
	s.http = http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: headerTime}
	go func() { s.done <- s.http.Serve(l) }()
	return s, nil
}

// URL is the server's own, or that of one of its files.
func (s *Server) URL(name string) string {
	u := url.URL{Scheme: "http", Host: s.addr}
	if name != "" {
		u.Path = "/" + name
	}
	return u.String()
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	f, err := s.root.Open(r.URL.Path[1:])
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", fmt.Sprintf(`"%x-%x"`, info.Size(), info.ModTime().UnixNano()))
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", info.ModTime(), f)
}

// Close ends all requests.
func (s *Server) Close() error {
	err := s.http.Close()
	if serveErr := <-s.done; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return errors.Join(err, s.root.Close())
}
