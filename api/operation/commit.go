package operation

import (
	"fmt"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// change is a set of writes that become durable together; a nil value removes.
type change map[string][]byte

// set adds a value, when there is one.
func (c change) set(kind byte, id string, value []byte) {
	if value != nil {
		c[key(kind, id)] = value
	}
}

// forget adds the removal of everything that only a pending operation has.
func (c change) forget(id string) {
	for _, kind := range pendingKeys {
		c[key(kind, id)] = nil
	}
}

// size is about what a change takes in a transaction.
func (c change) size() int {
	n := 0
	for k, v := range c {
		n += len(k) + len(v) + 64
	}
	return n
}

// groupSize bounds the changes that are written together, in bytes: a transaction
// of Badger holds no more than a part of its table in memory.
const groupSize = 256 << 10

// commits writes changes in the order in which they come, as many at a time as there
// are: Badger syncs each transaction by itself.
type commits struct {
	db   *badger.DB
	done chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	more    sync.Cond // there is something to write, or the end
	waiting []commit
	due     bool // what waits is to be written now
	timed   bool // a timer will make it due
	ended   bool
}

// soon is how long a change that nobody waits for may wait for company.
const soon = 100 * time.Millisecond

type commit struct {
	change change
	done   func(error)
}

func (w *commits) begin(db *badger.DB) {
	w.db, w.done = db, make(chan struct{})
	w.more.L = &w.mu
	go w.run()
}

// end writes what waits and ends the goroutine.
func (w *commits) end() {
	w.mu.Lock()
	w.ended, w.due = true, true
	w.more.Signal()
	w.mu.Unlock()
	<-w.done
}

// write makes a change durable.
func (w *commits) write(c change) error {
	written := make(chan error, 1)
	w.writeLater(c, func(err error) { written <- err })
	return <-written
}

// writeLater makes a change durable, and then calls done, which must not wait.
func (w *commits) writeLater(c change, done func(error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, commit{c, done})
	w.due = true
	w.more.Signal()
}

// writeSoon is writeLater for a change that waits for company.
func (w *commits) writeSoon(c change, done func(error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, commit{c, done})
	if !w.timed {
		w.timed = true
		time.AfterFunc(soon, w.timeout)
	}
}

func (w *commits) timeout() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timed, w.due = false, true
	w.more.Signal()
}

func (w *commits) run() {
	defer close(w.done)
	for {
		group := w.next()
		if group == nil {
			return
		}
		err := w.commit(group)
		for _, g := range group {
			g.done(err)
		}
	}
}

// next waits for changes and takes as many as go together; nil at the end.
func (w *commits) next() []commit {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.waiting) == 0 || !w.due {
		if w.ended {
			return nil
		}
		w.more.Wait()
	}
	n, size := 0, 0
	for n < len(w.waiting) && (n == 0 || size < groupSize) {
		if size += w.waiting[n].change.size(); n > 0 && size > groupSize {
			break
		}
		n++
	}
	group := w.waiting[:n:n]
	w.waiting = w.waiting[n:]
	if len(w.waiting) == 0 {
		w.waiting, w.due = nil, w.ended
	}
	return group
}

func (w *commits) commit(group []commit) error {
	tx := w.db.NewTransaction(true)
	defer tx.Discard()
	for _, g := range group {
		for k, v := range g.change {
			var err error
			if v == nil {
				err = tx.Delete([]byte(k))
			} else {
				err = tx.Set([]byte(k), v)
			}
			if err != nil {
				return fmt.Errorf("write operations: %w", err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("write operations: %w", err)
	}
	return nil
}
