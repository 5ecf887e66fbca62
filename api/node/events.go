package node

import (
	"context"
	"iter"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/blockmill/blockmill/api/blockmillpb"
)

// remembered is how many events an EventLog remembers.
const remembered = 512

// EventLog remembers the latest of what happened. The zero value is empty.
type EventLog struct {
	mu      sync.Mutex
	ring    [remembered]*blockmillpb.Event
	count   uint64        // of all events; the latest is at (count-1) % remembered
	changed chan struct{} // closed at the next event
	closed  bool
}

// Add notes that something happened now.
func (l *EventLog) Add(kind, resource, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring[l.count%remembered] = &blockmillpb.Event{
		Time: timestamppb.New(time.Now()), Kind: kind, ResourceId: resource, Text: text,
	}
	l.count++
	l.wakeLocked()
}

// Close ends those that follow.
func (l *EventLog) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.wakeLocked()
}

func (l *EventLog) wakeLocked() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// Read yields what is remembered, and with follow what happens until the context
// or the log ends.
func (l *EventLog) Read(ctx context.Context, follow bool) iter.Seq[*blockmillpb.Event] {
	return func(yield func(*blockmillpb.Event) bool) {
		for next := uint64(0); ; {
			batch, at, changed := l.since(next)
			for _, e := range batch {
				if !yield(e) {
					return
				}
			}
			next = at
			if !follow || changed == nil {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// since gives the events from number n on that are remembered, and the number of
// the one after them; changed is nil when there will be no more.
func (l *EventLog) since(n uint64) (batch []*blockmillpb.Event, next uint64, changed chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count > remembered {
		n = max(n, l.count-remembered)
	}
	for ; n < l.count; n++ {
		batch = append(batch, l.ring[n%remembered])
	}
	if l.closed {
		return batch, n, nil
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return batch, n, l.changed
}
