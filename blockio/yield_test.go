package blockio

import (
	"runtime"
	"testing"
	"time"
)

// Threads give way one at a time, and not more often than that does any good.
func TestYield(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer func() {
		runtime.GOMAXPROCS(before)
		spared.Store(false)
		nextYield.Store(0)
	}()
	Yield()
	if nextYield.Load() != 0 {
		t.Error("a thread gave way without processors to spare")
	}
	SpareProcessors(3)
	if got, want := runtime.GOMAXPROCS(0), runtime.NumCPU()+3; got != want {
		t.Errorf("Go has %d processors, want %d", got, want)
	}
	begun := time.Now().UnixNano()
	Yield()
	if next := nextYield.Load(); next < begun+int64(yieldEvery) {
		t.Errorf("the next time is %d ns after the first", next-begun)
	}
	later := begun + int64(time.Hour)
	nextYield.Store(later)
	if Yield(); nextYield.Load() != later {
		t.Error("a thread gave way before it was time")
	}
}
