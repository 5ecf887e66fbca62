package server

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
)

// limited bounds requests in number and size, and has their bodies read.
func (s *Server) limited(next http.Handler) http.Handler {
	requests := newShares("requests", s.opts.Limits.Requests, s.opts.Limits.SubjectRequests)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := requests.of(callerIn(s.withSubject(r.Context(), r)), false)
		if full := request.take(); full != nil {
			s.opts.Metrics.limited(full)
			writeStatus(w, http.StatusTooManyRequests, tooMany(full))
			return
		}
		defer request.leave()
		if compressed(r.Header) {
			writeStatus(w, http.StatusUnsupportedMediaType, "requests are taken without compression only")
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.opts.Limits.MessageBytes)))
		if err != nil {
			code := http.StatusRequestTimeout
			if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
				code = http.StatusRequestEntityTooLarge
			}
			writeStatus(w, code, err.Error())
			return
		}
		setBody(r, body)
		normalize(r)
		next.ServeHTTP(w, r)
	})
}

// compressed says whether a request's body is not what it will be in memory, by
// the headers of REST and of the protocols beside it.
func compressed(h http.Header) bool {
	for _, name := range []string{"Content-Encoding", "Connect-Content-Encoding", "Grpc-Encoding"} {
		if v := h.Get(name); v != "" && v != "identity" {
			return true
		}
	}
	return false
}

// normalize takes what clients write for JSON as what it is.
func normalize(r *http.Request) {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if strings.EqualFold(strings.TrimSpace(kind), "application/json") {
		r.Header.Set("Content-Type", "application/json")
	}
}

// filled takes no body at all, whatever its type, for that of a request without
// fields.
func filled(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			r.Header.Del("Content-Type")
			if hasBody(r.Method) {
				setBody(r, []byte("{}"))
			}
		}
		next.ServeHTTP(w, r)
	})
}

func setBody(r *http.Request, p []byte) {
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(p)), int64(len(p))
}
