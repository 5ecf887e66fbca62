package blockio

import (
	"strconv"
	"testing"
)

func TestParseRunning(t *testing.T) {
	for text, want := range map[string]int{
		"0.20 0.18 0.12 1/80 11206\n": 1, "13.20 0.18 0.12 117/2080 4194304\n": 117,
		"": -1, "0.20 0.18 0.12 80 11206": -1, "0.20 0.18 0.12 x/80 11206": -1, "0.20 0.18 0.12 1/80": -1,
	} {
		got, err := parseRunning([]byte(text))
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
}

// A queue is full when it is so for a while, and not any more when it is empty for one.
func TestRunQueueFull(t *testing.T) {
	q, err := OpenRunQueue()
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	q.next.Store(1 << 62) // it looks no more by itself
	looks := func(n, running int) bool {
		for range n {
			q.note(running)
		}
		return q.Full()
	}
	p := Processors()
	for i, step := range []struct {
		n, running int
		want       bool
	}{{1, 0, false}, {1, p + 2, false}, {100, p + 2, true}, {1, 1, true}, {100, 1, p == 1}, {100, p + 1, true}, {100, 0, false}} {
		if got := looks(step.n, step.running); got != step.want {
			t.Errorf("step %d: full is %v", i, got)
		}
	}
}

// A look finds at least the thread that looks.
func TestRunQueueLooks(t *testing.T) {
	q, err := OpenRunQueue()
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	q.Full()
	if got := q.mean.Load(); got < 1024/runQueueLooks {
		t.Errorf("mean %s", strconv.FormatInt(got, 10))
	}
}
