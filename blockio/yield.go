package blockio

import (
	"runtime"
	"sync/atomic"
)

// spared says that Go has processors to spare.
var spared atomic.Bool

// SpareProcessors gives Go n processors more than the machine has, so that goroutines
// run at once that are ready to, however many compute: the kernel decides between
// their threads. It is for the start of a program.
func SpareProcessors(n int) {
	runtime.GOMAXPROCS(runtime.NumCPU() + n)
	spared.Store(true)
}

// Yield lets others run that are ready to. Loops that compute, such as those that
// encode or decode one chunk after another, call it every few tens of
// microseconds: a goroutine that comes back from a read or a write waits for a
// processor, up to 10 ms until the scheduler takes one away from whoever
// computes, and the disk has nothing to do meanwhile.
//
// After SpareProcessors it does nothing: nobody waits for it, and a goroutine that has
// a thread of its own pays with two changes of threads each time.
func Yield() {
	if !spared.Load() {
		runtime.Gosched()
	}
}
