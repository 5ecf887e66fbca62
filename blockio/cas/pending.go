package cas

import (
	"context"
	"sync"
)

// pending holds the chunks that are being stored, or stored and not indexed
// yet. It makes each chunk be stored once however many workers meet it.
type pending struct {
	shards [64]pendingShard
}

type pendingShard struct {
	mu sync.Mutex
	// chunks maps a chunk to the segment that takes it, nil while the worker
	// that claimed it has not stored it. Guarded by mu.
	chunks map[chunkID]*segmentState
	// waiting has a channel for each claimed chunk that somebody waits for;
	// it is closed when the claim is settled. Guarded by mu.
	waiting map[chunkID]chan struct{}
}

func newPending() *pending {
	p := new(pending)
	for i := range p.shards {
		p.shards[i].chunks = make(map[chunkID]*segmentState)
		p.shards[i].waiting = make(map[chunkID]chan struct{})
	}
	return p
}

func (p *pending) shard(id chunkID) *pendingShard { return &p.shards[id[31]%64] }

// get returns the segment of a pending chunk; nil while it is claimed.
func (p *pending) get(id chunkID) (st *segmentState, ok bool) {
	s := p.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok = s.chunks[id]
	return st, ok
}

// claim makes the caller the one who stores the chunk, who must settle it. It
// fails when the chunk is pending, unless in the segment stale, which is gone.
func (p *pending) claim(id chunkID, stale *segmentState) bool {
	s := p.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if st, ok := s.chunks[id]; ok && (st == nil || st != stale) {
		return false
	}
	s.chunks[id] = nil
	return true
}

// settle ends a claim: the chunk is in a segment now, or with nil in none.
func (p *pending) settle(id chunkID, st *segmentState) {
	s := p.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if st == nil {
		delete(s.chunks, id)
	} else {
		s.chunks[id] = st
	}
	if c, ok := s.waiting[id]; ok {
		close(c)
		delete(s.waiting, id)
	}
}

// wait returns when the chunk is not claimed, or no more.
func (p *pending) wait(ctx context.Context, id chunkID) error {
	s := p.shard(id)
	s.mu.Lock()
	if st, ok := s.chunks[id]; !ok || st != nil {
		s.mu.Unlock()
		return nil
	}
	c, ok := s.waiting[id]
	if !ok {
		c = make(chan struct{})
		s.waiting[id] = c
	}
	s.mu.Unlock()
	defer pause(ctx)()
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// forget drops the chunks that are pending in a segment.
func (p *pending) forget(st *segmentState, entries []entry) {
	for _, e := range entries {
		s := p.shard(e.id)
		s.mu.Lock()
		if s.chunks[e.id] == st {
			delete(s.chunks, e.id)
		}
		s.mu.Unlock()
	}
}
