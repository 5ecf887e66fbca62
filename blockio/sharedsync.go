package blockio

import "sync"

// SharedSync lets callers that want the same sync share one: whoever asks while
// one is under way, which may have begun before the caller's change, waits for
// the next together with all others who do. The zero value works.
type SharedSync struct {
	turn sync.Mutex // held by the round that is under way

	mu   sync.Mutex
	next *syncRound // has not begun; guarded by mu
}

type syncRound struct {
	done chan struct{} // closed when err is set
	err  error
}

// Do returns the result of a call that began after Do did.
func (s *SharedSync) Do(call func() error) error {
	s.mu.Lock()
	if r := s.next; r != nil {
		s.mu.Unlock()
		<-r.done
		return r.err
	}
	r := &syncRound{done: make(chan struct{})}
	s.next = r
	s.mu.Unlock()

	s.turn.Lock()
	s.mu.Lock()
	s.next = nil // who comes from now on needs another
	s.mu.Unlock()
	r.err = call()
	s.turn.Unlock()
	close(r.done)
	return r.err
}
