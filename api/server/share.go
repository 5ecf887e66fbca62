package server

import "sync/atomic"

// share is how much of something may be under way at once.
type share struct {
	limit int64
	taken atomic.Int64
}

// take takes a place of the share if there is one.
func (s *share) take() bool {
	if s.taken.Add(1) <= s.limit {
		return true
	}
	s.taken.Add(-1)
	return false
}

func (s *share) leave() { s.taken.Add(-1) }

// places are the shares that something needs a place of, the whole and its parts.
type places []*share

// take takes a place of each, or of none.
func (p places) take() bool {
	for i, s := range p {
		if !s.take() {
			p[:i].leave()
			return false
		}
	}
	return true
}

func (p places) leave() {
	for _, s := range p {
		s.leave()
	}
}

// shares divide a limit: strangers, and streams if there are any, get a part of it.
type shares struct {
	all, strangers, streams share
}

func newShares(limit int) *shares {
	part := func(of int) share { return share{limit: int64(max(1, limit/of))} }
	return &shares{all: part(1), strangers: part(strangerShare), streams: part(streamShare)}
}

// of are the places for one call.
func (s *shares) of(known, stream bool) places {
	p := places{&s.all}
	if !known {
		p = append(p, &s.strangers)
	}
	if stream {
		p = append(p, &s.streams)
	}
	return p
}
