package measure

import (
	"time"

	"golang.org/x/sys/unix"
)

// Others begins to measure what Usage.Others is, beside work of this process and of
// children that have been waited for when it ends.
func Others() (end func() time.Duration) {
	before := machineCPU() - ownCPU()
	return func() time.Duration { return max(0, machineCPU()-ownCPU()-before) }
}

// ownCPU is the CPU time of this process, and of its children that have been waited
// for.
func ownCPU() time.Duration {
	var all time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var use unix.Rusage
		if err := unix.Getrusage(who, &use); err != nil {
			return 0
		}
		all += time.Duration(use.Utime.Nano() + use.Stime.Nano())
	}
	return all
}
