package badimage

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The kinds of refusal; test with errors.Is.
var (
	// ErrCorrupt says that the image breaks its specification.
	ErrCorrupt = errors.New("corrupt image")
	// ErrUnsupported says that the image needs what is refused or unknown.
	ErrUnsupported = errors.New("unsupported image")
)

// NoOffset is the Offset of an error that concerns no place in the file.
const NoOffset int64 = -1

// Error is a refusal. Its message is one line, whatever the image holds.
type Error struct {
	// Format is the container's name: "qcow2", "vmdk".
	Format string
	// Field is the field or table in the specification's words, with an
	// index where there is one: "cluster_bits", "L2 entry 7 of L1 entry 0".
	Field string
	// Offset is where the field stands in the file, in bytes, or NoOffset.
	Offset int64
	// Value is what was found and Want what was expected; either may be
	// empty. Text from the image must come through Quote.
	Value, Want string
	// Kind is ErrCorrupt or ErrUnsupported.
	Kind error
	// Err is a cause to unwrap, such as a decoder's error; it may be nil.
	Err error
}

// Corrupt makes an Error of kind ErrCorrupt.
func Corrupt(format, field string, offset int64, value, want string) *Error {
	return &Error{Format: format, Field: field, Offset: offset, Value: value, Want: want, Kind: ErrCorrupt}
}

// Unsupported makes an Error of kind ErrUnsupported.
func Unsupported(format, field string, offset int64, value, want string) *Error {
	return &Error{Format: format, Field: field, Offset: offset, Value: value, Want: want, Kind: ErrUnsupported}
}

// Because adds the cause and returns e.
func (e *Error) Because(err error) *Error {
	e.Err = err
	return e
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Format)
	if errors.Is(e.Kind, ErrUnsupported) {
		b.WriteString(": unsupported ")
	} else {
		b.WriteString(": bad ")
	}
	b.WriteString(e.Field)
	if e.Offset != NoOffset {
		fmt.Fprintf(&b, " at offset %d", e.Offset)
	}
	sep := ": "
	if e.Value != "" {
		b.WriteString(sep + e.Value)
		sep = ", "
	}
	if e.Want != "" {
		b.WriteString(sep + "want " + e.Want)
		sep = ", "
	}
	if e.Err != nil {
		b.WriteString(sep + e.Err.Error())
	}
	return b.String()
}

// Unwrap gives the kind and the cause to errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// Is reports whether err holds a refusal, of either kind.
func Is(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnsupported)
}

// Int formats a number for Value or Want.
func Int[T ~int | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64](v T) string {
	if v < 0 {
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatUint(uint64(v), 10)
}

// Hex formats a table entry or a mask for Value or Want.
func Hex[T ~uint8 | ~uint16 | ~uint32 | ~uint64](v T) string {
	return "0x" + strconv.FormatUint(uint64(v), 16)
}

// quoteMax is the most bytes of an image's text that an error repeats.
const quoteMax = 80

// Quote makes text out of an image fit for an error: quoted, escaped, cut.
func Quote[T ~string | ~[]byte](text T) string {
	s := string(text[:min(len(text), quoteMax)])
	q := strconv.QuoteToASCII(s)
	if len(text) > quoteMax {
		q += "…"
	}
	return q
}
