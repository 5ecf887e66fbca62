package server

import (
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
)

// codeOf are the codes for the statuses that HTTP itself answers with.
var codeOf = map[int]codes.Code{
	http.StatusBadRequest:            codes.InvalidArgument,
	http.StatusUnauthorized:          codes.Unauthenticated,
	http.StatusForbidden:             codes.PermissionDenied,
	http.StatusNotFound:              codes.NotFound,
	http.StatusMethodNotAllowed:      codes.Unimplemented,
	http.StatusUnsupportedMediaType:  codes.InvalidArgument,
	http.StatusRequestTimeout:        codes.DeadlineExceeded,
	http.StatusRequestEntityTooLarge: codes.ResourceExhausted,
	http.StatusTooManyRequests:       codes.ResourceExhausted,
}

// writeStatus answers with a google.rpc.Status.
func writeStatus(w http.ResponseWriter, httpCode int, message string) {
	code, ok := codeOf[httpCode]
	if !ok {
		code = codes.Internal
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(httpCode)
	// A client that went away has nobody to be told.
	_ = json.NewEncoder(w).Encode(map[string]any{"code": code, "message": message, "details": []any{}})
}

// NotFound answers requests for paths that nothing has.
func NotFound(w http.ResponseWriter, r *http.Request) {
	writeStatus(w, http.StatusNotFound, "nothing is at "+r.URL.Path)
}

// statusBodies makes a google.rpc.Status of the plain errors that are not a
// method's own, such as that of a path without such a verb, and one that blames the
// client of those over what it sent.
func statusBodies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sw := &statusWriter{ResponseWriter: w}
		sw.attempt, _ = r.Context().Value(attemptKey{}).(*attempt)
		next.ServeHTTP(sw, r)
		sw.release(nil)
	})
}

type statusWriter struct {
	http.ResponseWriter
	attempt         *attempt // the request's; nil counts as one that became a call
	wrote, replaced bool
	held            bool // the header of an error waits for its body
}

// WriteHeader begins the response, or another one in its place.
func (w *statusWriter) WriteHeader(code int) {
	if w.wrote {
		return
	}
	w.wrote = true
	isJSON := strings.HasPrefix(w.Header().Get("Content-Type"), "application/json")
	switch {
	case code == http.StatusInternalServerError && isJSON && w.attempt != nil && !w.attempt.called.Load():
		w.held = true
	case code < 400 || isJSON:
		w.ResponseWriter.WriteHeader(code)
	default:
		w.replace(code, strings.ToLower(http.StatusText(code)))
	}
}

// replace answers with a status of our own.
func (w *statusWriter) replace(code int, message string) {
	w.replaced = true
	w.Header().Del("Content-Length")
	writeStatus(w.ResponseWriter, code, message)
}

// release sends a header that was held: p is the beginning of its body. UNKNOWN is
// what the transcoder says of a request that it can make no call of.
func (w *statusWriter) release(p []byte) {
	if !w.held {
		return
	}
	w.held = false
	var body struct {
		Code    codes.Code
		Message string
	}
	if json.Unmarshal(p, &body) == nil && body.Code == codes.Unknown {
		w.replace(http.StatusBadRequest, body.Message)
		return
	}
	w.ResponseWriter.WriteHeader(http.StatusInternalServerError)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	w.release(p)
	if w.replaced {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap gives the writer below, for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush sends what was written.
func (w *statusWriter) Flush() {
	w.release(nil)
	// A writer that cannot flush has nothing to be flushed.
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// normalize takes what clients write for JSON as what it is.
func normalize(r *http.Request) {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if strings.EqualFold(strings.TrimSpace(kind), "application/json") {
		r.Header.Set("Content-Type", "application/json")
	}
}

// sameSite refuses what pages of other sites make a browser on this machine
// send: changes from elsewhere, and names that were made to lead here.
func sameSite(next http.Handler, hosts []string) http.Handler {
	protected := http.NewCrossOriginProtection()
	protected.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeStatus(w, http.StatusForbidden, "request from another site")
	}))
	h := protected.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
			writeStatus(w, http.StatusForbidden, "request from another site")
			return
		}
		if !knownHost(r.Host, hosts) {
			writeStatus(w, http.StatusForbidden, "this is not the host that was asked for")
			return
		}
		h.ServeHTTP(w, r)
	})
}

// knownHost says whether a request's Host is an address, localhost, or one of
// the names.
func knownHost(host string, names []string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	return host == "" || strings.EqualFold(host, "localhost") || net.ParseIP(host) != nil ||
		slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, host) })
}
