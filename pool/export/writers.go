package export

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/blockmill/blockmill/blockio/nbd"
	"github.com/blockmill/blockmill/pool"
)

// writers are the clients that write to disks.
type writers struct {
	// Immutable.
	node     *pool.Node
	patience time.Duration

	mu sync.Mutex
	by map[pool.DiskID]*writer // guarded by mu
}

// writer is a client that has a disk for itself.
type writer struct {
	peer        string
	connections int    // guarded by the mu of writers
	release     func() // gives the disk back
}

// stay is the time that one connection has a disk open.
type stay struct {
	writers *writers
	id      pool.DiskID
	peer    string
	begun   bool // guarded by the mu of writers
}

func (w *writers) stay(id pool.DiskID, peer string) *stay {
	return &stay{writers: w, id: id, peer: peer}
}

// retryEvery is how often a disk that is in use is asked for again.
const retryEvery = 20 * time.Millisecond

// begin takes the disk for the client, which may have it already. It waits for
// who has it, as a client may come back before the end of its last connection
// was noticed.
func (s *stay) begin(ctx context.Context) error {
	deadline := time.NewTimer(s.writers.patience)
	defer deadline.Stop()
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for {
		err := s.try()
		if !errors.Is(err, pool.ErrInUse) {
			return err
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return errors.Join(nbd.ErrBusy, err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *stay) try() error {
	w := s.writers
	w.mu.Lock()
	defer w.mu.Unlock()
	has := w.by[s.id]
	switch {
	case has != nil && has.peer != s.peer:
		return fmt.Errorf("disk %s is written by another client: %w", s.id, pool.ErrInUse)
	case has == nil:
		_, release, err := w.node.UseDisk(s.id, true)
		if err != nil {
			return err
		}
		has = &writer{peer: s.peer, release: release}
		w.by[s.id] = has
	}
	has.connections++
	s.begun = true
	return nil
}

// writes says whether the connection has the disk for writing.
func (s *stay) writes() bool {
	s.writers.mu.Lock()
	defer s.writers.mu.Unlock()
	return s.begun
}

// end gives the disk back with the client's last connection.
func (s *stay) end() {
	w := s.writers
	w.mu.Lock()
	defer w.mu.Unlock()
	if !s.begun {
		return
	}
	s.begun = false
	has := w.by[s.id]
	if has.connections--; has.connections == 0 {
		delete(w.by, s.id)
		has.release()
	}
}
