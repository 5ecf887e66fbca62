package cas

import (
	"testing"

	"github.com/blockmill/blockmill/blockio"
)

// Chunks are encoded unless that holds up an import which has all processors
// busy.
func TestHurried(t *testing.T) {
	all := int32(blockio.Processors())
	for name, c := range map[string]struct {
		keepBusy, writing, putting int32
		want                       bool
	}{
		"the volume is idle":               {10, 0, all, true},
		"the volume has enough to do":      {10, 10, all, false},
		"the volume has nearly enough":     {10, 9, all + 1, true},
		"a processor waits for the source": {10, 0, all - 1, false},
		"every chunk has to be encoded":    {0, 0, all, false},
	} {
		a := &appender{keepBusy: c.keepBusy}
		a.writing.Store(c.writing)
		a.putting.Store(c.putting)
		if got := a.hurried(); got != c.want {
			t.Errorf("%s: hurried is %v", name, got)
		}
	}
}
