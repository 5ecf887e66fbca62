package main

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestBackground looks at the priority of a goroutine that gives way, and of the
// others after it.
func TestBackground(t *testing.T) {
	priority := func() int {
		p, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
		if err != nil {
			t.Error(err)
		}
		return 20 - p // as the system call gives it
	}
	own := priority()
	seen := make(chan int)
	for range 20 {
		go func() {
			background()
			seen <- priority()
		}()
		if got := <-seen; got != max(own, giveWay) {
			t.Errorf("niceness %d, want %d", got, giveWay)
		}
		go func() { seen <- priority() }()
		if got := <-seen; got != own {
			t.Errorf("another goroutine has niceness %d", got)
		}
	}
}
