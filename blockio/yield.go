package blockio

import (
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

var (
	// spared says that Go has processors to spare.
	spared atomic.Bool
	// nextYield is when a thread gives way again, Unix time in nanoseconds.
	nextYield atomic.Int64
)

// yieldEvery is how often some thread gives way to others of the machine.
const yieldEvery = 200 * time.Microsecond

// SpareProcessors gives Go n processors more than the machine has, so that the kernel
// decides between goroutines that are ready to run, however many compute. It is for
// the start of a program.
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
// After SpareProcessors the thread gives way in its stead, each now and then: what
// waits is in the kernel's queue, for as long as a tick of its clock. Goroutines that
// have a thread of their own would pay for runtime.Gosched with two changes of
// threads each time.
func Yield() {
	if !spared.Load() {
		runtime.Gosched()
		return
	}
	now, next := time.Now().UnixNano(), nextYield.Load()
	if now >= next && nextYield.CompareAndSwap(next, now+int64(yieldEvery)) {
		_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) // it never fails
	}
}
