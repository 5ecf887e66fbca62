package node_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/blockmill/blockmill/api/node"
)

// TestEventsAreForgotten adds more than is remembered.
func TestEventsAreForgotten(t *testing.T) {
	var l node.EventLog
	const count = 1000
	for i := range count {
		l.Add("test.event", fmt.Sprint(i), "")
	}
	var got []string
	for e := range l.Read(t.Context(), false) {
		got = append(got, e.GetResourceId())
	}
	for i, id := range got {
		if want := fmt.Sprint(count - len(got) + i); id != want {
			t.Fatalf("event %s, want %s", id, want)
		}
	}
	if len(got) == 0 || len(got) == count {
		t.Errorf("%d events are remembered", len(got))
	}
}

// TestEventsAreFollowed reads on until the log, or the reader, ends.
func TestEventsAreFollowed(t *testing.T) {
	for _, end := range []string{"log", "reader"} {
		t.Run(end, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var l node.EventLog
			l.Add("test.event", "0", "")
			next := 0
			for e := range l.Read(ctx, true) {
				if e.GetResourceId() != fmt.Sprint(next) {
					t.Errorf("event %s, want %d", e.GetResourceId(), next)
				}
				next++
				switch {
				case next < 3:
					l.Add("test.event", fmt.Sprint(next), "")
				case end == "log":
					l.Close()
				default:
					cancel()
				}
			}
			if next != 3 {
				t.Errorf("%d events", next)
			}
		})
	}
}
