package server

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// place is something of which only so much is to be had at once.
type place interface {
	// take takes it, if it is to be had.
	take() bool
	leave()
	// String names what there is too much of when it is not.
	String() string
}

// places are what something needs one of each of.
type places []place

// take takes all of them, or none and gives one that is not to be had.
func (p places) take() (full place) {
	for i, s := range p {
		if !s.take() {
			p[:i].leave()
			return s
		}
	}
	return nil
}

func (p places) leave() {
	for _, s := range p {
		s.leave()
	}
}

// share is how much of something may be under way at once.
type share struct {
	name  string
	limit int64
	taken atomic.Int64
}

func (s *share) take() bool {
	if s.taken.Add(1) <= s.limit {
		return true
	}
	s.taken.Add(-1)
	return false
}

func (s *share) leave() { s.taken.Add(-1) }

func (s *share) String() string { return s.name }

// eachOf bounds what every caller has under way.
type eachOf struct {
	name  string
	limit int

	mu    sync.Mutex
	taken map[string]int // by caller, without those who have nothing; guarded by mu
}

// one is the bound for one caller.
type one struct {
	*eachOf
	caller string
}

func (o one) take() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.taken[o.caller] >= o.limit {
		return false
	}
	o.taken[o.caller]++
	return true
}

func (o one) leave() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.taken[o.caller]--; o.taken[o.caller] == 0 {
		delete(o.taken, o.caller)
	}
}

func (o one) String() string { return o.name }

// shares divide a limit: strangers, and streams if there are any, get a part of it,
// and every caller another.
type shares struct {
	all, strangers, streams share
	each, eachStreams       eachOf
}

// newShares divides a limit on something of that name, of which a caller may have
// so much.
func newShares(name string, limit, caller int) *shares {
	part := func(name string, of int) share { return share{name: name, limit: int64(max(1, limit/of))} }
	each := func(name string, of int) eachOf {
		return eachOf{name: name, limit: max(1, caller/of), taken: make(map[string]int)}
	}
	return &shares{
		all: part(name, 1), strangers: part(name+" of strangers", strangerShare), streams: part("streams", streamShare),
		each: each(name+" of one caller", 1), eachStreams: each("streams of one caller", streamShare),
	}
}

// of are the places that one call needs, the narrowest first.
func (s *shares) of(c caller, stream bool) places {
	p := places{one{&s.each, c.name}}
	if stream {
		p = append(p, one{&s.eachStreams, c.name}, &s.streams)
	}
	if !c.known {
		p = append(p, &s.strangers)
	}
	return append(p, &s.all)
}

// tooMany says that a place is not to be had.
func tooMany(full place) string { return fmt.Sprintf("too many %v at once", full) }
