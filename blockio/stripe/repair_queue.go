package stripe

import (
	"maps"
	"slices"
	"sync"
)

// maxQueued bounds the queue; what does not fit is found by a scrub.
const maxQueued = 1 << 16

// repairQueue is the names of objects that were seen to lack a good shard.
type repairQueue struct {
	mu sync.Mutex
	m  map[string]struct{}
}

// add queues a name and says whether it is new.
func (s *repairQueue) add(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.m[name]; ok || len(s.m) >= maxQueued {
		return false
	}
	if s.m == nil {
		s.m = map[string]struct{}{}
	}
	s.m[name] = struct{}{}
	return true
}

func (s *repairQueue) has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.m[name]
	return ok
}

func (s *repairQueue) remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, name)
}

func (s *repairQueue) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.m)
}

// names are all that is queued, in their order.
func (s *repairQueue) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.m))
}
