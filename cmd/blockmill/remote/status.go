package remote

import (
	"errors"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Plain is an error without the words of gRPC: what the daemon said, or the fields
// that it found wrong, or that there is no daemon. Other errors stay as they are.
func (c *Client) Plain(err error) error {
	s, ok := errors.AsType[interface {
		error
		GRPCStatus() *status.Status
	}](err)
	if !ok {
		return err
	}
	said := s.GRPCStatus().Message()
	if _, why, dialled := strings.Cut(said, "Error while dialing: "); dialled && s.GRPCStatus().Code() == codes.Unavailable {
		why = strings.TrimSuffix(why, `"`)
		said = "no daemon answers at " + c.endpoint + ":" + why[strings.LastIndexByte(why, ':')+1:]
	}
	if wrong := violations(s.GRPCStatus()); wrong != "" {
		said = wrong
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

// violations are the fields of a request that are wrong, those together that are so
// for one reason; empty when there are none.
func violations(s *status.Status) string {
	var texts []string
	fields := make(map[string][]string) // by what is said of them
	for _, d := range s.Details() {
		bad, ok := d.(*errdetails.BadRequest)
		if !ok {
			continue
		}
		for _, v := range bad.FieldViolations {
			if fields[v.Description] == nil {
				texts = append(texts, v.Description)
			}
			fields[v.Description] = append(fields[v.Description], v.Field)
		}
	}
	for i, text := range texts {
		texts[i] = strings.Join(fields[text], ", ") + ": " + text
	}
	return strings.Join(texts, "; ")
}

// plainError is an error with another text.
type plainError struct {
	text string
	error
}

func (e plainError) Error() string { return e.text }

func (e plainError) Unwrap() error { return e.error }
