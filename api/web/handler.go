package web

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"net/http"
)

// Source gives what the page shows, to those that may see it.
type Source interface {
	Status(ctx context.Context) (Status, error)
}

// Error is a refusal of a source, with the HTTP status that says it.
type Error struct {
	Code int
	Text string
}

func (e *Error) Error() string { return e.Text }

//go:embed page.html page.css page.js
var files embed.FS

// policy lets the page load its own style and script and ask its own server,
// and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the page at "/" and what it is made of: "/status.json",
// "/page.css" and "/page.js". Everything else is 404.
func Handler(source Source) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", file("page.html", "text/html; charset=utf-8"))
	mux.Handle("GET /page.css", file("page.css", "text/css; charset=utf-8"))
	mux.Handle("GET /page.js", file("page.js", "text/javascript; charset=utf-8"))
	mux.Handle("GET /status.json", serveStatus(source))
	return mux
}

func file(name, kind string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header(w, kind)
		http.ServeFileFS(w, r, files, name)
	})
}

func serveStatus(source Source) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := source.Status(r.Context())
		code := http.StatusOK
		var body any = s.withLists()
		if err != nil {
			code, body = refusal(err)
		}
		header(w, "application/json")
		w.WriteHeader(code)
		// A write that fails has nobody to be told.
		_ = json.NewEncoder(w).Encode(body)
	})
}

// refusal is what the browser is told; the text of an unknown error is not
// for it.
func refusal(err error) (int, any) {
	text := struct {
		Message string `json:"message"`
	}{"the node cannot say how it is"}
	if refused, ok := errors.AsType[*Error](err); ok {
		text.Message = refused.Text
		return refused.Code, text
	}
	return http.StatusServiceUnavailable, text
}

func header(w http.ResponseWriter, kind string) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}
