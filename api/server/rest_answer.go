package server

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
)

// answer is the response to a request by REST. It keeps the status, and makes a
// google.rpc.Status of the plain errors that are not a method's own, such as those
// of the transcoder, and one that blames the client of those over what it sent.
type answer struct {
	http.ResponseWriter
	attempt  *attempt // the request's
	status   int      // 0 as long as there is none
	replaced bool     // by a body of our own
	held     bool     // the header of an error waits for its body
}

// WriteHeader begins the response, or another one in its place.
func (w *answer) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.status = status
	isJSON := strings.HasPrefix(w.Header().Get("Content-Type"), "application/json")
	switch {
	case (status == http.StatusInternalServerError || status == http.StatusBadRequest) && isJSON && !w.attempt.called.Load():
		w.held = true
	case status < 400 || isJSON:
		w.ResponseWriter.WriteHeader(status)
	case status == http.StatusUnsupportedMediaType:
		w.replace(status, "unsupported media type, want application/json")
	default:
		w.replace(status, strings.ToLower(http.StatusText(status)))
	}
}

// replace answers with a status of our own.
func (w *answer) replace(status int, message string, details ...any) {
	w.status, w.replaced = status, true
	w.Header().Del("Content-Length")
	writeStatus(w.ResponseWriter, status, message, details...)
}

// aboutField is what the transcoder says of a parameter, or of a field in the path,
// that it cannot use.
var aboutField = regexp.MustCompile(`^(?:in field path|invalid parameter) ("(?:[^"\\]|\\.)*")`)

// blamed is the field that a message of the transcoder is about, or empty.
func blamed(message string) string {
	m := aboutField.FindStringSubmatch(message)
	if m == nil {
		return ""
	}
	field, err := strconv.Unquote(m[1])
	if err != nil {
		return ""
	}
	return field
}

// release sends a header that was held: p is the beginning of its body. UNKNOWN is
// what the transcoder says of a request that it can make no call of, and it names the
// field that is to blame in its message alone.
func (w *answer) release(p []byte) {
	if !w.held {
		return
	}
	w.held = false
	var body struct {
		Code    codes.Code
		Message string
	}
	if json.Unmarshal(p, &body) == nil {
		field := blamed(body.Message)
		if body.Code == codes.Unknown || field != "" {
			w.replace(http.StatusBadRequest, body.Message, violation(field, body.Message)...)
			return
		}
	}
	w.ResponseWriter.WriteHeader(w.status)
}

func (w *answer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK) // unless it has begun
	w.release(p)
	if w.replaced {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap gives the writer below, for http.ResponseController.
func (w *answer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush sends what was written.
func (w *answer) Flush() {
	w.release(nil)
	// A writer that cannot flush has nothing to be flushed.
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}
