package main

import (
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/convert"
)

// giveWay is how nice imports are: enough that whatever answers somebody comes
// first, on this machine and not only in this process.
const giveWay = 10

// background makes the thread of an import's goroutine give way. The thread belongs
// to the goroutine from then on and ends with it.
func background() {
	runtime.LockOSThread()
	// Without it the import is in the way, and goes on.
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), giveWay)
}

// importWorkers is how many windows of an import are in flight at most.
func importWorkers() int { return min(max(4*runtime.NumCPU(), 4), 16) }

// importShare divides the windows of two imports between all that there are.
func importShare() *convert.Share { return convert.NewShare(2 * importWorkers()) }

// importsComputing is how many windows all imports compute on at a time, while others
// are read and written: with one more than there are processors none of these is
// without work, and answers seldom wait behind a row of threads.
func importsComputing() int { return runtime.NumCPU() + 1 }

// spareProcessors lets goroutines that answer run while all of an import's do: the
// kernel decides between them, which knows who is to give way.
func spareProcessors() { blockio.SpareProcessors(importWorkers()) }
