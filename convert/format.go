package convert

import (
	"errors"
	"fmt"
	"strings"
)

// ErrFormat says that a name is not the name of a format.
var ErrFormat = errors.New("unknown format")

// Format is the name of an image format. The zero value stands for a format
// that is to be detected.
type Format string

// The formats that can be read and written.
const (
	Raw   Format = "raw"
	QCOW2 Format = "qcow2"
	VMDK  Format = "vmdk"
)

// Formats lists them.
func Formats() []Format { return []Format{Raw, QCOW2, VMDK} }

// ParseFormat gives the format of a name; the empty name is the format to be
// detected.
func ParseFormat(name string) (Format, error) {
	if name == "" {
		return "", nil
	}
	var known []string
	for _, f := range Formats() {
		if name == string(f) {
			return f, nil
		}
		known = append(known, string(f))
	}
	return "", fmt.Errorf("%w %q: want one of %s", ErrFormat, name, strings.Join(known, " "))
}
