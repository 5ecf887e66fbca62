package remote

import (
	"errors"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
)

// Plain is an error without the words of gRPC: what the daemon said, or each field
// that it found wrong. Other errors stay as they are.
func Plain(err error) error {
	s, ok := errors.AsType[interface {
		error
		GRPCStatus() *status.Status
	}](err)
	if !ok {
		return err
	}
	said := s.GRPCStatus().Message()
	var fields []string
	for _, d := range s.GRPCStatus().Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.FieldViolations {
				fields = append(fields, v.Field+": "+v.Description)
			}
		}
	}
	if len(fields) > 0 {
		said = strings.Join(fields, "; ")
	}
	return plainError{strings.Replace(err.Error(), s.Error(), said, 1), err}
}

// domain is whose the reasons are.
const domain = "blockmill"

// Reason is what the daemon says of an error for programs, beside the code; empty
// when it says nothing.
func Reason(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.Domain == domain {
			return info.Reason
		}
	}
	return ""
}

// plainError is an error with another text.
type plainError struct {
	text string
	error
}

func (e plainError) Error() string { return e.text }

func (e plainError) Unwrap() error { return e.error }
