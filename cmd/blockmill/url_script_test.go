package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"
)

// serveURLCommand is "serve VAR KIND": an HTTP server on loopback gives the files of
// the script's directory until the script ends, its URL is in VAR. KIND says
// how: ranges, whole (no ranges), changing (another version after two requests),
// gone (403), busy (503), gzip (a content encoding), redirect (to itself).
func serveURLCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: serve VAR KIND")
	}
	dir := ts.MkAbs(".")
	var requests atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := requests.Add(1)
		name := filepath.Join(dir, filepath.Base(r.URL.Path))
		w.Header().Set("Etag", `"1"`)
		switch args[1] {
		case "whole":
			p, err := os.ReadFile(name)
			if err != nil {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(p)))
			_, _ = w.Write(p)
			return
		case "changing":
			w.Header().Set("Etag", fmt.Sprintf(`"%d"`, n/3))
		case "gone":
			http.Error(w, "no", http.StatusForbidden)
			return
		case "busy":
			w.Header().Set("Retry-After", "3000")
			http.Error(w, "later", http.StatusServiceUnavailable)
			return
		case "gzip":
			w.Header().Set("Content-Encoding", "gzip")
		case "redirect":
			if r.URL.Query().Get("to") == "" {
				http.Redirect(w, r, r.URL.Path+"?to=signature-of-the-second", http.StatusFound)
				return
			}
		}
		http.ServeFile(w, r, name)
	}))
	ts.Defer(s.Close)
	ts.Setenv(args[0], s.URL)
}
