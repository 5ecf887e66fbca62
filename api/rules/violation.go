package rules

import (
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Violations collects what is wrong with a request.
type Violations struct {
	list []*errdetails.BadRequest_FieldViolation
}

// Add notes that a field, named by its path, breaks a rule.
func (v *Violations) Add(field, format string, args ...any) {
	v.list = append(v.list, &errdetails.BadRequest_FieldViolation{Field: field, Description: fmt.Sprintf(format, args...)})
}

// include adds the violations that an error of Err has.
func (v *Violations) include(err error) {
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			v.list = append(v.list, bad.GetFieldViolations()...)
		}
	}
}

// Err is nil when nothing was added, else an INVALID_ARGUMENT status with all
// of it.
func (v *Violations) Err() error {
	if len(v.list) == 0 {
		return nil
	}
	parts := make([]string, len(v.list))
	for i, f := range v.list {
		parts[i] = f.Field + ": " + f.Description
	}
	s := status.New(codes.InvalidArgument, "Request validation error: "+strings.Join(parts, "; "))
	if detailed, err := s.WithDetails(&errdetails.BadRequest{FieldViolations: v.list}); err == nil {
		s = detailed
	}
	return s.Err()
}

// Violation is the error of one field that breaks a rule.
func Violation(field, format string, args ...any) error {
	var v Violations
	v.Add(field, format, args...)
	return v.Err()
}
