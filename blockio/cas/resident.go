package cas

import (
	"log/slog"
	"time"

	"github.com/blockmill/blockmill/blockio"
)

const (
	// residentMost is how many bytes of mapped files may be in memory before the
	// tables of the database are taken out of it: the program itself is half of it.
	residentMost = 48 << 20
	// residentStep is by how much that must have grown since the last time: what
	// others have mapped stays.
	residentStep = 16 << 20
	// residentLook is how often it is looked at, residentRest how long the tables
	// are left alone once they were taken out: who looks up chunks at random has them
	// all back soon, and each page costs a fault.
	residentLook = 25 * time.Millisecond
	residentRest = 12 * residentLook
)

// boundResident takes the tables of a database out of the process's memory from time
// to time, until it is stopped or the system does not let it. Badger maps its tables,
// and each page that was looked at, also by a merge, counts as memory until its table
// is gone: the whole index and more.
func boundResident(dir string, log *slog.Logger) (stop func()) {
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(residentLook)
		defer tick.Stop()
		for b := (residentBound{dir: dir, most: residentMost}); ; {
			select {
			case <-done:
				return
			case now := <-tick.C:
				if err := b.look(now); err != nil {
					log.Debug("the tables of the index stay in memory", "reason", err)
					return
				}
			}
		}
	}()
	return func() { close(done); <-stopped }
}

// residentBound is when the tables in a directory are taken out of memory next.
type residentBound struct {
	dir  string
	most int64     // bytes that must be resident
	rest time.Time // not before
}

func (b *residentBound) look(now time.Time) error {
	if now.Before(b.rest) {
		return nil
	}
	resident, err := blockio.ResidentFiles()
	if err != nil || resident < b.most {
		return err
	}
	if err := blockio.ReleaseMapped(b.dir); err != nil {
		return err
	}
	if resident, err = blockio.ResidentFiles(); err != nil {
		return err
	}
	b.most, b.rest = max(residentMost, resident+residentStep), now.Add(residentRest)
	return nil
}
