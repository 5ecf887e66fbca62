package server

import (
	"encoding/json"
	"net/http"

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
func writeStatus(w http.ResponseWriter, httpCode int, message string, details ...any) {
	code, ok := codeOf[httpCode]
	if !ok {
		code = codes.Internal
	}
	if details == nil {
		details = []any{}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(httpCode)
	// A client that went away has nobody to be told.
	_ = json.NewEncoder(w).Encode(map[string]any{"code": code, "message": message, "details": details})
}

// writeViolation answers that a field is to blame, in a google.rpc.BadRequest; an
// empty one is no field.
func writeViolation(w http.ResponseWriter, field, description string) {
	writeStatus(w, http.StatusBadRequest, description, violation(field, description)...)
}

// violation is the details that blame a field; an empty one is no field.
func violation(field, description string) []any {
	if field == "" {
		return nil
	}
	return []any{map[string]any{
		"@type":           "type.googleapis.com/google.rpc.BadRequest",
		"fieldViolations": []any{map[string]string{"field": field, "description": description}},
	}}
}

// NotFound answers requests for paths that nothing has.
func NotFound(w http.ResponseWriter, r *http.Request) {
	writeStatus(w, http.StatusNotFound, "nothing is at "+r.URL.Path)
}
