package ready

import (
	"sync"
	"time"
)

// EventKind is what happened to a pool.
type EventKind string

// The kinds of events.
const (
	Hit       EventKind = "hit"       // a create found a disk, and has it
	Miss      EventKind = "miss"      // a create found none that it could use
	Waited    EventKind = "wait"      // a create waited for a disk, and has it
	Refilled  EventKind = "refill"    // a disk was made
	Failed    EventKind = "failed"    // making one failed
	Discarded EventKind = "discarded" // a disk was given up
	Opened    EventKind = "opened"
	Closed    EventKind = "closed"
	Changed   EventKind = "changed" // its settings
	Behind    EventKind = "behind"  // refilling cannot keep up with the demand
	CaughtUp  EventKind = "caught-up"
)

// Event is something that happened to a pool.
type Event struct {
	// Serial numbers all events of the process from 1.
	Serial uint64        `json:"serial"`
	Time   time.Time     `json:"time"`
	Pool   Key           `json:"pool"`
	Kind   EventKind     `json:"kind"`
	Took   time.Duration `json:"took,omitempty"`
	Ready  int           `json:"ready"`
	Target int           `json:"target"`
	Reason string        `json:"reason,omitempty"`
}

// ringSize is how many events are kept.
const ringSize = 1024

// ring keeps the latest events.
type ring struct {
	mu     sync.Mutex
	events [ringSize]Event
	serial uint64        // of the latest
	more   chan struct{} // closed with the next event
}

func newRing() *ring { return &ring{more: make(chan struct{})} }

func (r *ring) add(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serial++
	e.Serial = r.serial
	r.events[e.Serial%ringSize] = e
	close(r.more)
	r.more = make(chan struct{})
}

// since gives the events after a serial that are still kept, and a channel that
// is closed when there are more.
func (r *ring) since(serial uint64) ([]Event, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.serial > ringSize {
		serial = max(serial, r.serial-ringSize)
	}
	var all []Event
	for serial < r.serial {
		serial++
		all = append(all, r.events[serial%ringSize])
	}
	return all, r.more
}
