package xxh64

import (
	"testing"

	"golang.org/x/sys/cpu"
)

// A processor that lacks any extension that the lanes need takes one input after
// the other.
func TestLanesNeed(t *testing.T) {
	for name, has := range map[string]*bool{
		"F": &cpu.X86.HasAVX512F, "DQ": &cpu.X86.HasAVX512DQ, "VL": &cpu.X86.HasAVX512VL,
	} {
		had := *has
		*has = false
		if n := Lanes(); n != 1 {
			t.Errorf("%d lanes without AVX-512 %s", n, name)
		}
		*has = had
	}
}
