package blockio

import (
	"bytes"
	"iter"
)

// FailSync makes the next sync of the device return err from the kernel.
func (d *Device) FailSync(err error) {
	sync := d.flush
	d.flush = func(int) error {
		d.flush = sync
		return err
	}
}

// Misalign makes the device believe that direct I/O takes any alignment.
func (d *Device) Misalign() { d.align = Alignment{Memory: 1, Offset: 1} }

// ForgetCachestat makes the device believe that the kernel has no cachestat.
func (d *Device) ForgetCachestat() { d.noCachestat.Store(true) }

// Idle is how many bytes the arena keeps for reuse.
func (a *Arena) Idle() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.idle.bytes
}

// ReadJournal is what a journal of these bytes has to say, in any order.
func ReadJournal(p []byte) (iter.Seq2[string, []byte], error) {
	entries, err := readJournal(journalBytes{bytes: p})
	return func(yield func(string, []byte) bool) {
		for _, e := range entries {
			if !yield(e.name, e.data) {
				return
			}
		}
	}, err
}

// journalBytes is a file system of one file.
type journalBytes struct {
	FileSystem
	bytes []byte
}

func (j journalBytes) OpenFile(string) (Object, error) {
	return journalObject{bytes.NewReader(j.bytes)}, nil
}

type journalObject struct{ *bytes.Reader }

func (journalObject) Close() error { return nil }
