package leak

import (
	"testing"
	"time"
)

// What ends later than goleak waits is no leak, and what does not end is one.
func TestFind(t *testing.T) {
	end := make(chan struct{})
	go func() { <-end }()
	if err := find(0); err == nil {
		t.Error("a goroutine that goes on was not found")
	}
	time.AfterFunc(time.Second, func() { close(end) })
	if err := find(patience); err != nil {
		t.Error(err)
	}
}
