package status

import (
	"cmp"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Error is the error of a call: the status that the caller is told, and why.
type Error struct {
	status *status.Status
	cause  error
}

func (e *Error) Error() string { return e.cause.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// GRPCStatus is what the caller is told.
func (e *Error) GRPCStatus() *status.Status { return e.status }

// Err makes the error of a call; nil stays nil.
func Err(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return &Error{status: of(err), cause: err}
}

// Proto makes the error of an operation.
func Proto(err error) *spb.Status { return of(err).Proto() }

func of(err error) *status.Status {
	if told, ok := errors.AsType[interface {
		error
		GRPCStatus() *status.Status
	}](err); ok {
		return told.GRPCStatus()
	}
	for _, l := range table() {
		if !errors.Is(err, l.err) {
			continue
		}
		return l.status(err)
	}
	return status.New(codes.Internal, "internal error")
}

// status is what the line says of an error that it is for.
func (l line) status(err error) *status.Status {
	s := status.New(l.code, cmp.Or(l.text, err.Error()))
	bad := new(errdetails.BadRequest)
	for _, field := range l.fields(err) {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: field, Description: s.Message()})
	}
	if detailed, err := s.WithDetails(bad); bad.FieldViolations != nil && err == nil {
		s = detailed
	}
	info := &errdetails.ErrorInfo{Reason: l.reason, Domain: domain}
	if detailed, err := s.WithDetails(info); l.reason != "" && err == nil {
		s = detailed
	}
	return s
}

// domain is whose the reasons of an ErrorInfo are.
const domain = "blockmill"

// fields are what of the request is to blame: what the line says, or else the error.
func (l line) fields(err error) []string {
	if l.field != "" {
		return []string{l.field}
	}
	if known, ok := errors.AsType[interface {
		error
		Fields() []string
	}](err); ok && l.code == codes.InvalidArgument {
		return known.Fields()
	}
	return nil
}

// Blame says which field of a request an error is about, where it is one that the
// request is to blame for and no other field is known.
func Blame(field string, err error) error {
	if err == nil {
		return nil
	}
	return &blamed{field, err}
}

type blamed struct {
	field string
	error
}

func (e *blamed) Unwrap() error { return e.error }

// Fields is the field that is to blame.
func (e *blamed) Fields() []string { return []string{e.field} }

// Internal says whether an error is one that the table does not have, and that
// the caller was told nothing of.
func Internal(err error) bool { return err != nil && of(err).Code() == codes.Internal }
