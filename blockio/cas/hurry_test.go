package cas

import (
	"testing"

	"github.com/blockmill/blockmill/blockio"
)

// Chunks are encoded unless that holds up an import while all processors are
// busy.
func TestHurried(t *testing.T) {
	all := int32(blockio.Processors())
	for name, c := range map[string]struct {
		keepBusy, writing, putting int32
		others, want               bool
	}{
		"the volume is idle":               {10, 0, all, false, true},
		"the volume has enough to do":      {10, 10, all, false, false},
		"the volume has nearly enough":     {10, 9, all + 1, false, true},
		"a processor waits for the source": {10, 0, all - 1, false, false},
		"others have the processor":        {10, 0, 1, true, true},
		"others, and the volume is busy":   {10, 10, 1, true, false},
		"every chunk has to be encoded":    {0, 0, all, true, false},
	} {
		a := &appender{keepBusy: c.keepBusy, full: func() bool { return c.others }}
		a.writing.Store(c.writing)
		a.putting.Store(c.putting)
		if got := a.hurried(); got != c.want {
			t.Errorf("%s: hurried is %v", name, got)
		}
	}
}
