package blockio

import "runtime"

// Yield lets others run that are ready to. Loops that compute, such as those that
// encode or decode one chunk after another, call it every few tens of
// microseconds: a goroutine that comes back from a read or a write waits for a
// processor, up to 10 ms until the scheduler takes one away from whoever
// computes, and the disk has nothing to do meanwhile.
func Yield() { runtime.Gosched() }
