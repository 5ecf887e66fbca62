package nbd_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"

	"github.com/blockmill/blockmill/blockio"
)

const page = 4096

// memory is a device in memory that knows which of its pages are holes.
type memory struct {
	mu     sync.Mutex
	data   []byte
	there  []bool // pages
	syncs  int
	synced []byte // as of the last sync
	fail   error  // of reads and writes
	noFast bool   // nothing but writes
	gate   chan struct{}
}

func newMemory(size int) *memory {
	return &memory{data: make([]byte, size), there: make([]bool, (size+page-1)/page)}
}

func (m *memory) Size() int64 { return int64(len(m.data)) }

func (m *memory) wait() {
	if m.gate != nil {
		<-m.gate
	}
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	m.wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return 0, m.fail
	}
	n := copy(p, m.data[min(off, m.Size()):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memory) ReadNoWait(p []byte, off int64) bool {
	if m.gate != nil {
		return false
	}
	n, err := m.ReadAt(p, off)
	return n == len(p) && err == nil && off/page%2 == 0
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	m.wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return 0, m.fail
	}
	for i := off / page; i*page < off+int64(len(p)); i++ {
		m.there[i] = true
	}
	return copy(m.data[off:], p), nil
}

func (m *memory) WriteNoWait(p []byte, off int64) (bool, error) {
	if m.gate != nil || off/page%3 == 0 {
		return false, nil
	}
	n, err := m.WriteAt(p, off)
	return n == len(p), err
}

func (m *memory) Sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.syncs++
	m.synced = append(m.synced[:0], m.data...)
	return nil
}

func (m *memory) PunchHole(off, n int64) error { return m.zero(off, n, false) }
func (m *memory) ZeroRange(off, n int64) error { return m.zero(off, n, true) }

func (m *memory) zero(off, n int64, there bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.noFast {
		return errors.ErrUnsupported
	}
	clear(m.data[off : off+n])
	for i := (off + page - 1) / page; (i+1)*page <= off+n; i++ {
		m.there[i] = there
	}
	return nil
}

func (m *memory) Extents(_ context.Context, off, n int64) iter.Seq2[blockio.Extent, error] {
	return func(yield func(blockio.Extent, error) bool) {
		for end := off + n; off < end; {
			m.mu.Lock()
			e := blockio.Extent{Offset: off, Length: min(end, (off/page+1)*page) - off, State: blockio.Hole}
			if m.there[off/page] {
				e.State = blockio.Data
			}
			m.mu.Unlock()
			if !yield(e, nil) {
				return
			}
			off = e.End()
		}
	}
}
