package convert

import (
	"sync"
	"sync/atomic"
	"time"
)

// Share divides windows in flight between the pipelines that have it: the more of
// them, the fewer each. Windows that were read and wait for a processor do no good:
// they take memory, and are out of the processor's caches when their turn comes. Who
// waits for a source takes nothing from the others. Nil lets every pipeline have its
// own.
type Share struct {
	windows int

	mu    sync.Mutex
	parts map[*shared]struct{} // guarded by mu
}

// shareWait is how long a pipeline counts after a window was read.
const shareWait = time.Second

// NewShare makes a share of so many windows. Every pipeline has at least one.
func NewShare(windows int) *Share {
	return &Share{windows: windows, parts: make(map[*shared]struct{})}
}

// shared is what a pipeline has of a share, which may be nil.
type shared struct {
	share *Share
	begun time.Time
	last  atomic.Int64 // when a window was read, nanoseconds after begun
}

// join begins a pipeline, which leave ends.
func (s *Share) join() *shared {
	p := &shared{share: s, begun: time.Now()}
	if s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.parts[p] = struct{}{}
	}
	return p
}

func (p *shared) leave() {
	if p.share != nil {
		p.share.mu.Lock()
		defer p.share.mu.Unlock()
		delete(p.share.parts, p)
	}
}

// read notes that a window was read.
func (p *shared) read() { p.last.Store(int64(time.Since(p.begun))) }

// of is how many windows the pipeline may have in flight now, of at most n.
func (p *shared) of(n int) int {
	if p.share == nil {
		return n
	}
	p.share.mu.Lock()
	defer p.share.mu.Unlock()
	active := 1
	for other := range p.share.parts {
		if other != p && time.Since(other.begun)-time.Duration(other.last.Load()) < shareWait {
			active++
		}
	}
	return min(n, max(p.share.windows/active, 1))
}
