//go:build libdeflate

package inflate_test

import (
	"errors"
	"testing"

	"github.com/blockmill/blockmill/convert/inflate/internal/libdeflate"
)

func cCandidates(b *testing.B) []candidate {
	d := libdeflate.NewDecoder()
	b.Cleanup(d.Close)
	return []candidate{{"libdeflate", func(dst, src []byte) error {
		if !d.Raw(dst, src) {
			return errors.New("refused")
		}
		return nil
	}}}
}
