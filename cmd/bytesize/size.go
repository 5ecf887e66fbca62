// Package bytesize is the numbers of bytes that people write on the command lines and
// in the configurations of the programs. Its values are as safe for concurrent use as
// numbers are.
package bytesize

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes. Its text is digits and at most one of K, M, G and T, for
// powers of two.
type Size int64

const units = "KMGT"

var errSize = errors.New("want a number of bytes, with K, M, G or T")

// UnmarshalText is of encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	digits, shift := strings.ToUpper(strings.TrimSpace(string(text))), 0
	if last := len(digits) - 1; last >= 0 {
		if at := strings.IndexByte(units, digits[last]); at >= 0 {
			digits, shift = digits[:last], 10*(at+1)
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || n > math.MaxInt64>>shift {
		return fmt.Errorf("size %q: %w", text, errSize)
	}
	*s = Size(n << shift)
	return nil
}

// String is the shortest text of the size.
func (s Size) String() string {
	n, unit := int64(s), ""
	for _, u := range units {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, string(u)
	}
	return strconv.FormatInt(n, 10) + unit
}

// Set is of pflag.Value.
func (s *Size) Set(text string) error { return s.UnmarshalText([]byte(text)) }

// Type is of pflag.Value.
func (*Size) Type() string { return "SIZE" }
