package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// size is a number of bytes on the command line: digits, and K, M, G or T for
// powers of two.
type size int64

const sizeUnits = "KMGT"

func (s *size) String() string {
	n, unit := int64(*s), ""
	for _, u := range sizeUnits {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, string(u)
	}
	return strconv.FormatInt(n, 10) + unit
}

// Set is of pflag.Value.
func (s *size) Set(text string) error {
	digits, shift := text, 0
	if n := len(text); n > 0 {
		if at := strings.IndexByte(sizeUnits, strings.ToUpper(text)[n-1]); at >= 0 {
			digits, shift = text[:n-1], 10*(at+1)
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || n > math.MaxInt64>>shift {
		return fmt.Errorf("bad size %q: want a number and at most one of K M G T", text)
	}
	*s = size(n << shift)
	return nil
}

// Type is of pflag.Value.
func (*size) Type() string { return "SIZE" }

// human prints a number of bytes for people.
func human(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), 0
	for v >= 1024 && unit < len(sizeUnits) {
		v /= 1024
		unit++
	}
	return fmt.Sprintf("%.2f %ciB", v, sizeUnits[unit-1])
}
