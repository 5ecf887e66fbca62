package blockio

import "runtime"

// Processors is how many goroutines compute at a time, which may be fewer than
// Go runs: a program that reads and writes much gives Go more than the machine
// has, since each is lost for a while to whoever waits for the disk.
func Processors() int { return min(runtime.NumCPU(), runtime.GOMAXPROCS(0)) }
