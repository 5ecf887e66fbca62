package blockio

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// RunQueue knows about how many threads of the machine run, or would if a processor
// were free: this process's and all others, as proc_loadavg(5) counts them.
type RunQueue struct {
	file *os.File
	next atomic.Int64 // when to look again, Unix time in nanoseconds
	mean atomic.Int64 // of the latest looks, in 1/1024 threads
}

// A look is taken at most once in runQueueEvery and weighs 1/runQueueLooks.
const (
	runQueueEvery = time.Millisecond
	runQueueLooks = 16
)

// OpenRunQueue begins to look; the caller closes it.
func OpenRunQueue() (*RunQueue, error) {
	f, err := os.Open("/proc/loadavg")
	if err != nil {
		return nil, fmt.Errorf("open run queue: %w", err)
	}
	return &RunQueue{file: f}, nil
}

// Close ends the looking.
func (q *RunQueue) Close() error { return q.file.Close() }

// Full says whether lately there was, on the average, a thread for every processor,
// the caller's included. What cannot be told is not full.
func (q *RunQueue) Full() bool {
	now, next := time.Now().UnixNano(), q.next.Load()
	if now >= next && q.next.CompareAndSwap(next, now+int64(runQueueEvery)) {
		var p [128]byte
		if n, _ := q.file.ReadAt(p[:], 0); n > 0 {
			if running, err := parseRunning(p[:n]); err == nil {
				q.note(running)
			}
		}
	}
	return q.mean.Load() >= int64(Processors())<<10
}

func (q *RunQueue) note(running int) {
	mean := q.mean.Load()
	q.mean.Store(mean + (int64(running)<<10-mean)/runQueueLooks)
}

var errLoad = errors.New("not as proc_loadavg(5) says")

// parseRunning gives the running threads of "0.20 0.18 0.12 1/80 11206".
func parseRunning(p []byte) (int, error) {
	f := bytes.Fields(p)
	if len(f) != 5 {
		return 0, errLoad
	}
	running, _, ok := bytes.Cut(f[3], []byte("/"))
	if !ok {
		return 0, errLoad
	}
	return strconv.Atoi(string(running))
}
