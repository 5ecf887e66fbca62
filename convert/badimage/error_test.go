package badimage_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/blockmill/blockmill/convert/badimage"
)

func TestErrorNamesEverything(t *testing.T) {
	tests := []struct {
		name string
		err  *badimage.Error
		want string
	}{
		{
			"corrupt", badimage.Corrupt("qcow2", "cluster_bits", 20, badimage.Int(63), "9 to 21"),
			"qcow2: bad cluster_bits at offset 20: 63, want 9 to 21",
		},
		{
			"unsupported", badimage.Unsupported("vmdk", "compressAlgorithm", 77, badimage.Hex(uint16(9)), "0 or 1"),
			"vmdk: unsupported compressAlgorithm at offset 77: 0x9, want 0 or 1",
		},
		{
			"no place", badimage.Corrupt("raw", "size", badimage.NoOffset, badimage.Int(-1), ""),
			"raw: bad size: -1",
		},
		{
			"cause", badimage.Corrupt("qcow2", "compressed cluster", 65536, "", "").Because(io.ErrUnexpectedEOF),
			"qcow2: bad compressed cluster at offset 65536: unexpected EOF",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.err.Error(); got != tt.want {
				t.Errorf("Error() = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestErrorUnwraps(t *testing.T) {
	corrupt := fmt.Errorf("open: %w", badimage.Corrupt("qcow2", "x", 0, "", "").Because(io.ErrUnexpectedEOF))
	unsupported := fmt.Errorf("open: %w", badimage.Unsupported("qcow2", "x", 0, "", ""))
	tests := []struct {
		name   string
		err    error
		target error
		want   bool
	}{
		{"corrupt is corrupt", corrupt, badimage.ErrCorrupt, true},
		{"corrupt is not unsupported", corrupt, badimage.ErrUnsupported, false},
		{"the cause shows", corrupt, io.ErrUnexpectedEOF, true},
		{"unsupported is unsupported", unsupported, badimage.ErrUnsupported, true},
		{"unsupported is not corrupt", unsupported, badimage.ErrCorrupt, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := errors.Is(tt.err, tt.target); got != tt.want {
				t.Errorf("errors.Is = %v, want %v", got, tt.want)
			}
		})
	}
	if !badimage.Is(corrupt) || !badimage.Is(unsupported) || badimage.Is(io.ErrUnexpectedEOF) || badimage.Is(nil) {
		t.Error("Is tells refusals from other errors wrongly")
	}
}

func TestQuoteKeepsOneShortLine(t *testing.T) {
	got := badimage.Quote(strings.Repeat("a\n\x1b[31m\u202e", 1000))
	if strings.ContainsAny(got, "\n\x1b\u202e") || len(got) > 1000 {
		t.Errorf("Quote let text through: %q", got)
	}
}
