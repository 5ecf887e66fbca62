package inflate_test

import (
	"bytes"
	"hash/adler32"
	"testing"

	"github.com/blockmill/blockmill/convert/inflate"
)

func TestChecksum(t *testing.T) {
	for name, p := range map[string][]byte{
		"largest bytes": bytes.Repeat([]byte{0xff}, 5<<20),
		"text":          bytes.Repeat(samples(10007)["text"], 600),
		"random":        bytes.Repeat(samples(10007)["random"], 600),
	} {
		for _, size := range []int{0, 1, 31, 32, 33, 63, 64, 5552, 65536, 1<<20 - 1, 1 << 20, 1<<20 + 33, 5 << 20} {
			if got, want := inflate.Checksum(p[:size]), adler32.Checksum(p[:size]); got != want {
				t.Errorf("%d bytes of %s: %08x, want %08x", size, name, got, want)
			}
		}
		if !inflate.SameSums(p[:1<<20]) {
			t.Errorf("%s: assembly and portable code differ", name)
		}
	}
}
