package cas

import "sync"

// memo remembers the results of load, up to a total cost of most; any of them
// make room for a new one. Two callers that miss one key both load it.
type memo[K comparable, V any] struct {
	most int
	cost func(V) int

	mu    sync.RWMutex
	vals  map[K]V // guarded by mu
	total int     // cost of all; guarded by mu
}

func newMemo[K comparable, V any](most int, cost func(V) int) *memo[K, V] {
	return &memo[K, V]{most: most, cost: cost, vals: make(map[K]V)}
}

func (m *memo[K, V]) get(key K, load func() (V, error)) (V, error) {
	m.mu.RLock()
	v, ok := m.vals[key]
	m.mu.RUnlock()
	if ok {
		return v, nil
	}
	v, err := load()
	if err != nil {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.vals[key]; ok {
		return v, nil
	}
	m.total += m.cost(v)
	for k, old := range m.vals {
		if m.total <= m.most {
			break
		}
		m.total -= m.cost(old)
		delete(m.vals, k)
	}
	m.vals[key] = v
	return v, nil
}
