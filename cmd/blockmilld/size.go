package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// size is a number of bytes; its text takes K M G T, powers of two.
type size int64

var errSize = errors.New("want a number of bytes, with K, M, G or T")

// UnmarshalText is of encoding.TextUnmarshaler.
func (s *size) UnmarshalText(text []byte) error {
	t := strings.ToUpper(strings.TrimSpace(string(text)))
	shift := 0
	if t != "" {
		if at := strings.IndexByte("KMGT", t[len(t)-1]); at >= 0 {
			t, shift = t[:len(t)-1], 10*(at+1)
		}
	}
	n, err := strconv.ParseInt(t, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return fmt.Errorf("size %q: %w", text, errSize)
	}
	*s = size(n << shift)
	return nil
}

func (s size) String() string {
	for i, unit := range []string{"T", "G", "M", "K"} {
		if shift := 10 * (4 - i); s != 0 && int64(s)%(1<<shift) == 0 {
			return strconv.FormatInt(int64(s)>>shift, 10) + unit
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
