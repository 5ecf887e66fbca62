package server

import (
	"net/http"
	"time"
)

// timedWrites gives each write of a response its own time, so that streams last as
// long as they are read, and clients that take nothing are disconnected.
func timedWrites(next http.Handler, each time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&slowWriter{w, each}, r)
	})
}

type slowWriter struct {
	http.ResponseWriter
	each time.Duration
}

// bytesPerSecond is the least rate at which a client takes its answer.
const bytesPerSecond = 64 << 10

// Write writes p, or fails when that takes too long.
func (w *slowWriter) Write(p []byte) (int, error) {
	deadline := time.Now().Add(w.each + time.Duration(len(p)/bytesPerSecond)*time.Second)
	// One that has no deadlines is no connection's, as in tests.
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(deadline)
	return w.ResponseWriter.Write(p)
}

// Unwrap gives the writer below, for http.ResponseController.
func (w *slowWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush sends what was written.
func (w *slowWriter) Flush() {
	// A writer that cannot flush has nothing to be flushed.
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}
