package cas

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blockmill/blockmill/blockio"
)

const (
	// residentMost is how many bytes of mapped files may be in memory before the
	// tables of the database are taken out of it: the program itself is half of it.
	residentMost = 48 << 20
	// residentRest is how long the tables are left alone once they were taken out:
	// who looks up chunks at random has them all back soon, and each page costs a
	// fault. At residentLimit they are not.
	residentRest  = 300 * time.Millisecond
	residentLimit = 72 << 20
	// residentStep is by how much what is resident must have grown meanwhile: what
	// others have mapped stays, and the tables that a merge has not finished.
	residentStep = 16 << 20

	// residentReads is how many bytes are read of the tables before somebody looks
	// at what is resident, residentLookup what a lookup counts for: the system maps
	// the neighbours of a page along with it.
	residentReads  = 2 << 20
	residentLookup = 64 << 10
	// residentSoon is how often it is looked at while tables are merged, which
	// nobody counts, and residentLate when nothing changes.
	residentSoon = 25 * time.Millisecond
	residentLate = 64 * residentSoon
)

// residentBound takes the tables of a database out of the process's memory from time
// to time. Badger maps its tables, and each page that was looked at, also by a merge,
// counts as memory until its table is gone: the whole index and more. All methods are
// safe for concurrent use, and those of a nil bound do nothing.
type residentBound struct {
	// Immutable.
	dir string
	// tables calls use with the names of tables that stay mapped until it returns.
	tables            func(use func(files map[string]bool) error) error
	log               *slog.Logger
	most, limit, step int64 // bytes
	wakes             chan struct{}
	done, stopped     chan struct{}

	reads atomic.Int64 // bytes since the last look

	mu       sync.Mutex
	resident int64 // bytes at the last look; guarded by mu
	// kept are the bytes that were left the last time. They count until rest only,
	// for what was a merge's then is the database's. Guarded by mu.
	kept    int64
	rest    time.Time // not before, unless at the limit; guarded by mu
	refused bool      // by the system; guarded by mu
}

// boundResident begins to bound the tables in a directory, until it is stopped or the
// system does not let it.
func boundResident(dir string, tables func(func(map[string]bool) error) error, log *slog.Logger) *residentBound {
	b := newResidentBound(dir, tables, log)
	go b.watch()
	return b
}

func newResidentBound(dir string, tables func(func(map[string]bool) error) error, log *slog.Logger) *residentBound {
	return &residentBound{
		dir: dir, tables: tables, log: log, most: residentMost, limit: residentLimit, step: residentStep,
		wakes: make(chan struct{}, 1), done: make(chan struct{}), stopped: make(chan struct{}),
	}
}

func (b *residentBound) stop() {
	if b != nil {
		close(b.done)
		<-b.stopped
	}
}

// read counts bytes that are about to be read of the tables. At the limit it waits
// until they are out of memory, so that reads cannot outrun that.
func (b *residentBound) read(n int64) {
	if b == nil || b.reads.Add(n) < residentReads {
		return
	}
	b.reads.Store(0)
	b.look(b.limit)
}

// wake says that tables will be merged.
func (b *residentBound) wake() {
	if b == nil {
		return
	}
	select {
	case b.wakes <- struct{}{}:
	default:
	}
}

// watch looks soon after the last change or wake, and less and less often then.
func (b *residentBound) watch() {
	defer close(b.stopped)
	pause := time.Duration(residentSoon)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		wakes := b.wakes
		if pause == residentSoon {
			wakes = nil // one that comes now is for the next pause
		}
		select {
		case <-b.done:
			return
		case <-wakes:
			pause = residentSoon
		case <-timer.C:
			if b.look(b.most) {
				pause = residentSoon
			} else {
				pause = min(2*pause, residentLate)
			}
		}
		timer.Reset(pause)
	}
}

// look takes the tables out of memory when so many bytes are resident, or, until they
// have rested, at the limit. It says whether what is resident has changed.
func (b *residentBound) look(most int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refused {
		return false
	}
	before := b.resident
	if err := b.lookLocked(most); err != nil {
		b.log.Debug("the tables of the index stay in memory", "reason", err)
		b.refused = true
	}
	return b.resident != before
}

func (b *residentBound) lookLocked(most int64) (err error) {
	if b.resident, err = blockio.ResidentFiles(); err != nil {
		return err
	}
	if time.Now().Before(b.rest) {
		most = max(b.limit, b.kept+b.step)
	}
	if b.resident < most || b.resident == b.kept {
		return nil
	}
	err = b.tables(func(files map[string]bool) error { return blockio.ReleaseMapped(b.dir, files) })
	if err != nil {
		return err
	}
	b.kept, err = blockio.ResidentFiles()
	b.resident, b.rest = b.kept, time.Now().Add(residentRest)
	return err
}
